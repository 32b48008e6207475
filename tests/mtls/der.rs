//! DER, written by hand, so that it can also be wrong.

/// One element.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        short @ ..0x80 => der.push(short as u8),
        medium @ ..0x100 => der.extend([0x81, medium as u8]),
        long @ ..0x1_0000 => der.extend([0x82, (long >> 8) as u8, long as u8]),
        longer => der.extend([0x83, (longer >> 16) as u8, (longer >> 8) as u8, longer as u8]),
    }
    der.extend_from_slice(content);
    der
}

/// The same in BER: a length of one byte more than it needs.
pub fn long_form(der: &[u8]) -> Vec<u8> {
    let (head, length) = if der[1] < 0x80 { (2, der[1] as usize) } else { (2 + (der[1] & 0x7f) as usize, der.len()) };
    let content = &der[head..];
    assert!(length == content.len() || head > 2, "one element");
    let mut ber = vec![der[0], 0x83];
    ber.extend(&(content.len() as u32).to_be_bytes()[1..]);
    ber.extend_from_slice(content);
    ber
}

/// The same in BER: of indefinite length.
pub fn indefinite(der: &[u8]) -> Vec<u8> {
    let head = if der[1] < 0x80 { 2 } else { 2 + (der[1] & 0x7f) as usize };
    let mut ber = vec![der[0], 0x80];
    ber.extend_from_slice(&der[head..]);
    ber.extend([0, 0]);
    ber
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    element(0x31, &parts.concat())
}

pub fn integer(bytes: &[u8]) -> Vec<u8> {
    element(2, bytes)
}

pub fn octets(content: &[u8]) -> Vec<u8> {
    element(4, content)
}

/// A bit string of whole bytes.
pub fn bits(content: &[u8]) -> Vec<u8> {
    element(3, &[&[0], content].concat())
}

/// A bit string in which these are set, the first bit being 0.
pub fn flags(set: &[u8]) -> Vec<u8> {
    let last = *set.iter().max().expect("one at least");
    let mut bytes = vec![0_u8; usize::from(last / 8) + 1];
    for bit in set {
        bytes[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
    }
    element(3, &[&[7 - last % 8], &bytes[..]].concat())
}

/// An object identifier such as `2.5.29.15`.
pub fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u32> = text.split('.').map(|arc| arc.parse().expect("a number")).collect();
    let mut content = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let mut groups = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            groups.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        content.extend(groups.iter().rev());
    }
    element(6, &content)
}

/// A name of one attribute in each relative name.
pub fn name(attributes: &[(&str, u8, &str)]) -> Vec<u8> {
    let relatives: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(kind, tag, value)| set(&[&sequence(&[&oid(kind), &element(*tag, value.as_bytes())])]))
        .collect();
    element(0x30, &relatives.concat())
}

pub const UTF8: u8 = 0x0c;
pub const PRINTABLE: u8 = 0x13;
pub const IA5: u8 = 0x16;
pub const CN: &str = "2.5.4.3";
pub const EMAIL: &str = "1.2.840.113549.1.9.1";

/// A name with one common name.
pub fn common_name(text: &str) -> Vec<u8> {
    name(&[(CN, UTF8, text)])
}
