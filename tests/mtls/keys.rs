//! Keys, also such that nobody should use.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

use super::der::{element, oid, sequence};

/// A key, and how it signs.
#[derive(Clone)]
pub struct Key(Arc<Kind>);

enum Kind {
    Own(KeyPair),
    /// By the `openssl` command: its PEM, and the name of a digest.
    OpenSsl {
        pem: String,
        digest: &'static str,
    },
}

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const ED25519: &str = "1.3.101.112";
const RSA_MD5: &str = "1.2.840.113549.1.1.4";
const RSA_SHA1: &str = "1.2.840.113549.1.1.5";
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
const ECDSA_SHA1: &str = "1.2.840.10045.4.1";

impl Key {
    pub fn p256() -> Self {
        Self(Arc::new(Kind::Own(KeyPair::generate().expect("a key"))))
    }

    pub fn p384() -> Self {
        Self::of(&rcgen::PKCS_ECDSA_P384_SHA384)
    }

    pub fn ed25519() -> Self {
        Self::of(&rcgen::PKCS_ED25519)
    }

    fn of(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        Self(Arc::new(Kind::Own(KeyPair::generate_for(algorithm).expect("a key"))))
    }

    /// An RSA key of so many bits that signs with SHA-256.
    pub fn rsa(bits: u32) -> Self {
        Self::openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")], "sha256")
    }

    /// An elliptic curve that OpenSSL knows.
    pub fn curve(name: &str) -> Self {
        let curve = format!("ec_paramgen_curve:{name}");
        let arguments = ["genpkey", "-algorithm", "EC", "-pkeyopt", &curve, "-pkeyopt", "ec_param_enc:named_curve"];
        Self::openssl(&arguments, "sha256")
    }

    fn openssl(arguments: &[&str], digest: &'static str) -> Self {
        let pem = String::from_utf8(run(arguments, b"")).expect("PEM");
        Self(Arc::new(Kind::OpenSsl { pem, digest }))
    }

    /// The same key with another digest: `md5`, `sha1`.
    pub fn digesting(&self, digest: &'static str) -> Self {
        let pem = match &*self.0 {
            Kind::Own(pair) => pair.serialize_pem(),
            Kind::OpenSsl { pem, .. } => pem.clone(),
        };
        Self(Arc::new(Kind::OpenSsl { pem, digest }))
    }

    /// SubjectPublicKeyInfo.
    pub fn public(&self) -> Vec<u8> {
        match &*self.0 {
            Kind::Own(pair) => pair.subject_public_key_info(),
            Kind::OpenSsl { pem, .. } => run(&["pkey", "-pubout", "-outform", "DER"], pem.as_bytes()),
        }
    }

    /// AlgorithmIdentifier of its signatures.
    pub fn algorithm(&self) -> Vec<u8> {
        let null = element(5, &[]);
        match &*self.0 {
            Kind::Own(pair) if pair.algorithm() == &rcgen::PKCS_ED25519 => sequence(&[&oid(ED25519)]),
            Kind::Own(pair) if pair.algorithm() == &rcgen::PKCS_ECDSA_P384_SHA384 => sequence(&[&oid(ECDSA_SHA384)]),
            Kind::Own(_) => sequence(&[&oid(ECDSA_SHA256)]),
            Kind::OpenSsl { digest, .. } => match (self.is_rsa(), *digest) {
                (true, "md5") => sequence(&[&oid(RSA_MD5), &null]),
                (true, "sha1") => sequence(&[&oid(RSA_SHA1), &null]),
                (true, _) => sequence(&[&oid(RSA_SHA256), &null]),
                (false, "sha1") => sequence(&[&oid(ECDSA_SHA1)]),
                (false, _) => sequence(&[&oid(ECDSA_SHA256)]),
            },
        }
    }

    fn is_rsa(&self) -> bool {
        let rsa = oid("1.2.840.113549.1.1.1");
        self.public().windows(rsa.len()).any(|window| window == rsa)
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &*self.0 {
            Kind::Own(pair) => pair.sign(message).expect("a signature"),
            Kind::OpenSsl { pem, digest } => {
                let folder = tempfile::tempdir().expect("a folder");
                let key = folder.path().join("key.pem");
                std::fs::write(&key, pem).expect("a file can be written");
                run(&["dgst", &format!("-{digest}"), "-sign", key.to_str().expect("UTF-8")], message)
            }
        }
    }

    /// PKCS#8, for TLS; `None` of keys that TLS has no use for.
    pub fn private(&self) -> Option<Arc<dyn rustls::sign::SigningKey>> {
        let der = match &*self.0 {
            Kind::Own(pair) => pair.serialize_der(),
            Kind::OpenSsl { pem, .. } => run(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], pem.as_bytes()),
        };
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(der);
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&der.into()).ok()
    }
}

/// What an `openssl` command prints.
fn run(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    // It may not read any.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
