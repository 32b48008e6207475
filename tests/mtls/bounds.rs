//! No client makes a core read much or compute long.

use super::case::{Case, all};
use super::keys::Key;
use super::makers::{Issued, extension};

/// A CA with so many bytes that mean nothing.
fn padded(root: &Issued, name: &str, bytes: usize) -> Issued {
    root.authority_with(name, Key::p256(), |fields| {
        fields.set(extension("1.3.6.1.4.1.55555.4", false, &vec![b'x'; bytes]));
    })
}

#[test]
fn chains_are_bounded_in_number_size_and_work() {
    let root = Issued::root("root");
    let client = root.client();
    let large = |bytes: usize| {
        root.client_but(|fields| fields.set(extension("1.3.6.1.4.1.55555.4", false, &vec![b'x'; bytes])))
    };
    let others: Vec<_> = (0..8).map(|at| root.authority(&format!("other {at}"))).collect();
    let with = |count: usize| std::iter::once(&client).chain(&others[..count]).collect::<Vec<_>>();
    let padding: Vec<_> = (0..5).map(|at| padded(&root, &format!("padding {at}"), 15 * 1024)).collect();
    let heavy: Vec<_> = std::iter::once(&client).chain(&padding).collect();
    // Tickets hold the chain, and this client reads no more than 64 KiB of them.
    let heavy_but_well: Vec<_> = heavy[..2].to_vec();
    // All of one name, each issued by that name: any of them may have issued any other.
    let twin = Issued::root("twin");
    let twins: Vec<_> = (0..7).map(|_| twin.authority("twin")).collect();
    let lost = Issued::root("twin").client();
    let maze: Vec<_> = std::iter::once(&lost).chain(&twins).collect();
    all(vec![
        Case::new("eight_certificates", &[&root], &with(7)),
        Case::new("nine_certificates", &[&root], &with(8)).refused("chain_too_long"),
        Case::new("fifteen_kib", &[&root], &[&large(15 * 1024)]),
        Case::new("seventeen_kib", &[&root], &[&large(17 * 1024)]).refused("too_large"),
        Case::new("large_issuer", &[&root], &[&client, &padded(&root, "large", 17 * 1024)]).refused("too_large"),
        Case::new("sixteen_kib_in_all", &[&root], &heavy_but_well),
        Case::new("seventy_five_kib_in_all", &[&root], &heavy).refused("too_large"),
        Case::new("one_of_64_kib", &[&root], &[&large(65_000)]).refused("too_large"),
        Case::new("maze", &[&twin], &maze).refused("too_complex"),
    ]);
}
