//! Values that an application of Node signs: `<value>.<HMAC-SHA256 of it, base64 without padding>`, as the package
//! `cookie-signature` writes them and `express-session` uses them.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, verify};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::model::Secret;

/// The value, if one of the secrets has signed it. The signature must be in its one canonical form; it is compared in
/// constant time.
pub fn verified<'a>(signed: &'a str, secrets: &[Secret<Vec<u8>>]) -> Option<&'a str> {
    let (value, signature) = signed.rsplit_once('.')?;
    let signature = STANDARD_NO_PAD.decode(signature).ok()?;
    let has_signed = |secret: &Secret<Vec<u8>>| {
        verify(&Key::new(HMAC_SHA256, secret.expose()), value.as_bytes(), &signature).is_ok()
    };
    secrets.iter().any(has_signed).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `cookie-signature` 1.2.2, `sign("hello", "tobiiscool")`: its own test.
    const SIGNED: &str = "hello.DGDUkGlIkCzPz+C0B064FNgHdEjox7ch8tOBGslZ5QI";

    fn secrets(texts: &[&str]) -> Vec<Secret<Vec<u8>>> {
        texts.iter().map(|text| Secret::new(text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_the_package_signs_is_verified() {
        assert_eq!(verified(SIGNED, &secrets(&["tobiiscool"])), Some("hello"));
        assert_eq!(verified(SIGNED, &secrets(&["a newer one", "tobiiscool"])), Some("hello"));
    }

    #[test]
    fn f38_nothing_else_is() {
        assert_eq!(verified(SIGNED, &secrets(&["luna"])), None);
        assert_eq!(verified(SIGNED, &[]), None);
        let key = secrets(&["tobiiscool"]);
        for at in 0..SIGNED.len() {
            let mut bytes = SIGNED.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert_eq!(verified(std::str::from_utf8(&bytes).unwrap(), &key), None, "byte {at}");
        }
        // The signature in any other form, cut short, or of another part of the same text.
        for wrong in [
            "".to_owned(),
            ".".to_owned(),
            "hello".to_owned(),
            "hello.".to_owned(),
            format!("{SIGNED}="),
            format!("{SIGNED}\n"),
            SIGNED.replace('+', "-"),
            SIGNED[..SIGNED.len() - 1].to_owned(),
            SIGNED.replace("I", "J"),
            format!("x{SIGNED}"),
            format!("hello.{SIGNED}"),
            SIGNED.replace("hello.", "hell.o."),
        ] {
            assert_eq!(verified(&wrong, &key), None, "{wrong}");
        }
    }
}
