use std::path::{Path, PathBuf};

use crate::certificates::{Pair, authority, failed, issue, write};
use crate::error::StackError;
use crate::folder::Folder;

/// A certificate authority for the servers and clients of a test. Its files are removed on drop.
pub struct Authority {
    folder: Folder,
    pair: Pair,
}

/// A certificate, its key and who vouches for it: files in PEM, gone with the authority.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The certificate, for servers and for clients.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn new() -> Result<Self, StackError> {
        let folder = Folder::new("blackfriday-authority-").map_err(|source| StackError::File {
            action: "make a folder in",
            path: std::env::temp_dir(),
            source,
        })?;
        let pair = authority("blackfriday test authority").map_err(failed("make an authority"))?;
        let made = Self { folder, pair };
        write(&made.pair, &made.ca(), &made.folder.path().join("ca.key"))?;
        Ok(made)
    }

    /// The authority's certificate, in PEM.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.at("ca", "crt")
    }

    /// Vouches for `name`, which is also the certificate's subject, and for this machine's loopback.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn issue(&self, name: &str) -> Result<Identity, StackError> {
        let names = ["localhost", "127.0.0.1", name].map(str::to_owned);
        let pair = issue(&self.pair, name, &names).map_err(failed("make a certificate"))?;
        let identity =
            Identity { ca: self.ca(), certificate: self.at(name, "crt"), key: self.at(name, "key") };
        write(&pair, &identity.certificate, &identity.key)?;
        Ok(identity)
    }

    fn at(&self, name: &str, extension: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(format!("{name}.{extension}"))
    }
}
