//! What errors of the libraries mean for the exit code.

use blackfriday_registry::RegistryError;
use blackfriday_stack::StackError;
use blackfriday_terminal::failure::{Classify, EX_UNAVAILABLE};

/// In the order in which they are asked.
pub(crate) const LIBRARIES: [Classify; 3] = [of_registry, blackfriday_verify::exit_code, of_stack];

fn of_registry(error: &anyhow::Error) -> Option<u8> {
    error.downcast_ref().map(RegistryError::exit_code)
}

fn of_stack(error: &anyhow::Error) -> Option<u8> {
    error.chain().any(|cause| cause.is::<StackError>()).then_some(EX_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use blackfriday_broker::BrokerError;
    use blackfriday_terminal::failure::exit_code;

    use super::*;

    #[test]
    fn each_librarys_error_has_its_code_below_any_context() {
        let code = |error: anyhow::Error| exit_code(&error.context("load"), &LIBRARIES);
        let denied = RegistryError::Denied { registry: "r".to_owned(), action: "read".to_owned() };
        assert_eq!(code(denied.into()), 77);
        assert_eq!(code(BrokerError::NoTopic("ventas".to_owned()).into()), 69);
    }
}
