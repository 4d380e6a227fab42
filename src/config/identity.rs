//! The certificate that clients are shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::fault::Fault;
use super::read;
use super::table::Table;

/// A chain of certificates with the private key of the first.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.0
    }
}

/// Never the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// The `[tls]` table. None where a file is not what it should be, which has been reported.
pub(super) fn identity(table: &Table<'_>, base: &Path) -> Option<Identity> {
    let cert = table.required("cert", "fullchain.pem");
    let key = table.required("key", "privkey.pem");
    let chain = cert.as_ref().and_then(|path| table.reported(path, |path| certificates(&base.join(path))));
    let key = key.and_then(|path| Some((table.reported(&path, |path| private_key(&base.join(path)))?, path)));
    let (chain, (key, key_path)) = (chain?, key?);
    table.reported(&key_path, |_| certified(chain, key))
}

fn certified(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Identity, Fault> {
    let certified = CertifiedKey::from_der(chain, key, &default_provider());
    certified.map(|certified| Identity(Arc::new(certified))).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Fault::new("this key does not belong to the certificate in `cert`")
            .help("`cert` begins with the certificate of this server; those of the authorities follow"),
        error => Fault::new("the certificate and the key can not be used").because(error),
    })
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = read::bytes(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(none) if none.is_empty() => {
            Err(Fault::new(format!("no certificate in {}", path.display()))
                .help("a PEM file: -----BEGIN CERTIFICATE-----"))
        }
        Ok(all) => Ok(all),
        Err(error) => Err(Fault::new(format!("{} is no PEM file", path.display())).because(error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    let pem = Zeroizing::new(read::bytes(path)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        // What is wrong in there is not said in other words than these: it may be part of a key.
        Fault::new(format!("no private key in {}", path.display()))
            .help("a PEM file without a passphrase: -----BEGIN PRIVATE KEY-----")
    })
}
