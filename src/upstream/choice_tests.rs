use http::HeaderValue;

use super::*;
use crate::model::settings::Scheme;

fn endpoint(host: &str, weight: u32) -> Endpoint {
    Endpoint { scheme: Scheme::Http, host: host.into(), port: 1, weight }
}

fn chooser(balance: Balance, weights: &[u32]) -> Chooser {
    let endpoints: Vec<_> = (0..).zip(weights).map(|(at, weight)| endpoint(&format!("h{at}"), *weight)).collect();
    Chooser::new(&balance, &endpoints)
}

fn by_address() -> Balance {
    Balance::Hash(HashKey::ClientAddress)
}

fn addresses() -> impl Iterator<Item = IpAddr> {
    (0..10_000_u32).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes()))
}

#[test]
fn turns_are_even_and_as_many_as_weights_say() {
    let turns = |weights: &[u32], count: usize| {
        let chooser = chooser(Balance::RoundRobin, weights);
        (0..count).map(|_| chooser.in_turn(chooser.all()).unwrap().to_string()).collect::<String>()
    };
    assert_eq!(turns(&[1, 1, 1], 7), "0120120");
    assert_eq!(turns(&[5, 1, 1], 14), "00102000010200".chars().take(14).collect::<String>());
    assert_eq!(turns(&[1], 3), "000");
}

#[test]
fn turns_go_on_among_those_that_are_left() {
    let chooser = chooser(Balance::RoundRobin, &[1, 1, 1]);
    let left = chooser.all().without(1);
    let turns: String = (0..4).map(|_| chooser.in_turn(left).unwrap().to_string()).collect();
    assert_eq!(turns, "0202");
    assert!(chooser.in_turn(Set(0)).is_none());
}

#[test]
fn draws_follow_weights() {
    let chooser = chooser(Balance::LeastRequests, &[3, 1]);
    let first = (0..10_000).filter(|_| chooser.draw(chooser.all()).unwrap().0 == 0).count();
    assert!((7200..7800).contains(&first), "{first}");
}

#[test]
fn keys_are_spread_by_weight_and_one_endpoint_more_moves_only_its_share() {
    let owners = |chooser: &Chooser| {
        let key = |address| chooser.key(&HeaderMap::new(), address).unwrap();
        addresses().map(|address| chooser.by_hash(chooser.all(), key(address)).unwrap()).collect::<Vec<_>>()
    };
    let four = owners(&chooser(by_address(), &[1; 4]));
    for at in 0..4 {
        let share = four.iter().filter(|owner| **owner == at).count();
        assert!((2250..2750).contains(&share), "{at}: {share}");
    }
    let five = owners(&chooser(by_address(), &[1; 5]));
    let moved: Vec<_> = four.iter().zip(&five).filter(|(before, after)| before != after).collect();
    assert!((1750..2250).contains(&moved.len()), "{}", moved.len());
    assert!(moved.iter().all(|(_, after)| **after == 4), "what moves goes to the new one");

    let heavy = owners(&chooser(by_address(), &[3, 1]));
    let share = heavy.iter().filter(|owner| **owner == 0).count();
    assert!((7200..7800).contains(&share), "{share}");
}

#[test]
fn without_an_endpoint_only_its_own_keys_move_and_the_order_of_endpoints_is_nothing() {
    let chooser = chooser(by_address(), &[1; 4]);
    let reversed: Vec<_> = (0..4).rev().map(|at| endpoint(&format!("h{at}"), 1)).collect();
    let reversed = Chooser::new(&by_address(), &reversed);
    for address in addresses() {
        let key = chooser.key(&HeaderMap::new(), address).unwrap();
        let owner = chooser.by_hash(chooser.all(), key).unwrap();
        let without = chooser.by_hash(chooser.all().without(2), key).unwrap();
        assert!(if owner == 2 { without != 2 } else { without == owner });
        assert_eq!(reversed.by_hash(reversed.all(), key), Some(3 - owner));
    }
}

#[test]
fn keys_are_values_of_headers_and_cookies() {
    let client = IpAddr::from([192, 0, 2, 1]);
    let headers = |name: &'static str, values: &[&'static str]| -> HeaderMap {
        values.iter().map(|value| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    };
    let tenant = chooser(Balance::Hash(HashKey::Header("x-tenant".parse().unwrap())), &[1, 1]);
    let key = |value| tenant.key(&headers("x-tenant", &[value]), client);
    assert!(key("a").is_some() && key("a") == key("a") && key("a") != key("b"));
    assert_eq!(tenant.key(&HeaderMap::new(), client), None);

    let cart = chooser(Balance::Hash(HashKey::Cookie("cart".into())), &[1, 1]);
    let key = |lists: &[&'static str]| cart.key(&headers("cookie", lists), client);
    assert_eq!(key(&["a=1; cart=7; b=2"]), key(&["cart=7"]));
    assert_eq!(key(&["a=1", "b=2;cart=7"]), key(&["cart=7"]));
    assert_ne!(key(&["cart=8"]), key(&["cart=7"]));
    for other in ["cartel=7", "xcart=7", "cart", ""] {
        assert_eq!(key(&[other]), None, "{other}");
    }

    assert_eq!(chooser(Balance::RoundRobin, &[1]).key(&headers("x-tenant", &["a"]), client), None);
}

#[test]
fn a_part_of_a_weight_counts_in_every_way_of_choosing() {
    let ways = [(Balance::RoundRobin, 909..910), (Balance::LeastRequests, 700..1150), (by_address(), 700..1150)];
    for (balance, expected) in ways {
        let chooser = chooser(balance, &[1, 1]);
        chooser.shares[1].part.set(10);
        let second = addresses().filter(|address| {
            let at = match chooser.key(&HeaderMap::new(), *address) {
                Some(key) => chooser.by_hash(chooser.all(), key),
                None if chooser.balance == Balance::RoundRobin => chooser.in_turn(chooser.all()),
                None => chooser.draw(chooser.all()).map(|(at, _)| at),
            };
            at == Some(1)
        });
        let second = second.count();
        assert!(expected.contains(&second), "{:?}: {second}", chooser.balance);
    }
}
