//! A certificate authority of the run's own, and the certificate its servers show.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use uuid::Uuid;

use crate::private_file::write_private;
use crate::system_user::SystemUser;

/// PEM files of the authority and of the one certificate it issued, for `localhost` and 127.0.0.1.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes them in the folder; only the servers' user can read the key.
    pub(crate) fn issue(folder: &Path, user: SystemUser) -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // A name of its own: issuers are looked up by name, and a program may trust the authorities of two runs.
        let name = format!("kitloop local authority {}", Uuid::new_v4().simple());
        authority.distinguished_name.push(DnType::CommonName, name);
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        let leaf_pem = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?.pem();

        let files = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&files.authority, authority_pem)?;
        fs::write(&files.certificate, leaf_pem)?;
        write_private(&files.key, &key.serialize_pem())?;
        user.own(&files.key)?;
        Ok(files)
    }
}
