//! SHA-256, and texts of bytes.

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let _ = bytes;
    todo!()
}

/// SHA-256 of several fields, each preceded by its length, so that no byte can move from one to the next.
pub fn sha256_fields(fields: &[&[u8]]) -> [u8; 32] {
    let _ = fields;
    todo!()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let _ = bytes;
    todo!()
}
