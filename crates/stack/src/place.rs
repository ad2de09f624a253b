use std::path::PathBuf;

use crate::error::StackError;
use crate::port::PortChoice;
use crate::server::Server;

/// Where a server is to be found: for tests anywhere, for somebody who keeps it in the same folder on the same port.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Where its data stays from start to start; without it the data is removed on drop.
    pub folder: Option<PathBuf>,
    /// Where clients reach it.
    pub port: PortChoice,
}

impl Place {
    /// Its folder, once no other server is left in it.
    pub(crate) async fn server(&self, name: &'static str) -> Result<Server, StackError> {
        match &self.folder {
            Some(folder) => Server::in_folder_soon(name, folder).await,
            None => Server::new(name),
        }
    }
}
