use std::path::{Path, PathBuf};

use crate::error::StackError;
use crate::locate;

const VARIABLE: &str = "BLACKFRIDAY_CLIENTS";
const WHAT: &str = "a folder with clients in Go and Python";

/// Where gRPC clients in other languages are: a folder that `tools/setup/clients.sh` has built.
#[derive(Debug, Clone)]
pub struct Clients(PathBuf);

impl Clients {
    /// The folder, by a variable or under `.tools`.
    ///
    /// # Errors
    /// It is not there, or the variable names something else.
    pub fn locate() -> Result<Self, StackError> {
        if let Some(path) = locate::named_by(VARIABLE) {
            let clients = Self(path);
            return if clients.grpcurl().is_file() {
                Ok(clients)
            } else {
                Err(StackError::Misnamed { what: WHAT, variable: VARIABLE, path: clients.0 })
            };
        }
        let found = locate::in_tools("clients/bin/client")
            .and_then(|path| path.ancestors().nth(2).map(Path::to_path_buf));
        found.map(Self).ok_or(StackError::Missing { what: WHAT, variable: VARIABLE })
    }

    /// `grpcurl`, which learns from the server's reflection what there is to call.
    pub fn grpcurl(&self) -> PathBuf {
        self.0.join("bin/grpcurl")
    }

    /// Our client in Go.
    pub fn go(&self) -> PathBuf {
        self.0.join("bin/client")
    }

    /// A Python that has gRPC, for our client in Python.
    pub fn python(&self) -> PathBuf {
        self.0.join("py/bin/python3")
    }

    /// `protoc-gen-go` or `protoc-gen-go-grpc`.
    pub fn generator(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }
}
