use std::path::PathBuf;

use crate::error::StackError;
use crate::locate;

const VARIABLE: &str = "BLACKFRIDAY_SCHEMATHESIS";
const WHAT: &str = "schemathesis";

/// The program that compares a service with its OpenAPI document: by a variable, on PATH or under `.tools`.
///
/// # Errors
/// It is not there, or the variable names something else.
pub fn schemathesis() -> Result<PathBuf, StackError> {
    if let Some(path) = locate::named_by(VARIABLE) {
        let is_file = path.is_file();
        return if is_file {
            Ok(path)
        } else {
            Err(StackError::Misnamed { what: WHAT, variable: VARIABLE, path })
        };
    }
    let found = locate::on_path(WHAT).or_else(|| locate::in_tools("py/bin/schemathesis"));
    found.ok_or(StackError::Missing { what: WHAT, variable: VARIABLE })
}
