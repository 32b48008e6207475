//! The gate beside a model of it that has no cache and knows every revocation at once: whatever happens in whatever
//! order, the gate accepts nothing that the model refuses beyond the bound that is promised, and refuses nothing that
//! the model accepts but for being out of touch.

mod credentials;
mod oracle;
mod records;
mod world;

use proptest::prelude::*;

use self::credentials::{CREDENTIALS, Credential};
use self::world::World;

/// What can happen.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A request with this credential on this route.
    Ask(usize, Route),
    /// The same, and while its record is being read other things happen.
    AskSlowly(usize, Route, [Meanwhile; 2]),
    /// Something that a request can be overtaken by.
    Other(Meanwhile),
    /// Seconds pass.
    Pass(u64),
    /// What connects the instance with the log works so.
    Line(Line),
    /// The store of records answers, or does not.
    Records(bool),
    /// The log comes back without its data.
    LoseLog,
    /// The instance is started anew.
    Restart,
    /// The cache drops everything, as it may at any time.
    Evict,
}

#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// Revokes: one credential, or what its principal has.
    Revoke(usize, Scope),
    /// Gives or takes the role `reader`, and announces it or not.
    Change(usize, bool, Announced),
    /// Removes the record, or brings it back.
    Exist(usize, bool, Announced),
    /// Changes which keys the issuer has.
    Rotate(Keys),
    /// The follower reads what there is to read.
    Follow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Refuses what it cannot know.
    Strict,
    /// `on_stale = "allow"`.
    Lenient,
    /// Strict, and for readers alone.
    Readers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Itself,
    Principal,
    Sessions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Up,
    /// Calls fail.
    Cut,
    /// Calls are answered, but what was written does not arrive.
    Lagging,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    First,
    Both,
    Second,
}

fn credential() -> impl Strategy<Value = usize> {
    0..CREDENTIALS.len()
}

fn route() -> impl Strategy<Value = Route> {
    prop_oneof![3 => Just(Route::Strict), 2 => Just(Route::Lenient), 2 => Just(Route::Readers)]
}

fn announced() -> impl Strategy<Value = Announced> {
    prop_oneof![Just(Announced::Yes), Just(Announced::No)]
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    let scope = prop_oneof![4 => Just(Scope::Itself), 1 => Just(Scope::Principal), 1 => Just(Scope::Sessions)];
    let keys = prop_oneof![Just(Keys::First), Just(Keys::Both), Just(Keys::Second)];
    prop_oneof![
        2 => (credential(), scope).prop_map(|(one, scope)| Meanwhile::Revoke(one, scope)),
        3 => (credential(), any::<bool>(), announced()).prop_map(|(one, role, how)| Meanwhile::Change(one, role, how)),
        2 => (credential(), any::<bool>(), announced()).prop_map(|(one, there, how)| Meanwhile::Exist(one, there, how)),
        1 => keys.prop_map(Meanwhile::Rotate),
        5 => Just(Meanwhile::Follow),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let line = prop_oneof![3 => Just(Line::Up), 1 => Just(Line::Cut), 1 => Just(Line::Lagging)];
    let seconds = prop_oneof![6 => 0..4_u64, 2 => 4..20_u64, 1 => 20..100_u64];
    prop_oneof![
        14 => (credential(), route()).prop_map(|(one, route)| Event::Ask(one, route)),
        3 => (credential(), route(), [meanwhile(), meanwhile()])
            .prop_map(|(one, route, meanwhile)| Event::AskSlowly(one, route, meanwhile)),
        10 => meanwhile().prop_map(Event::Other),
        5 => seconds.prop_map(Event::Pass),
        2 => line.prop_map(Event::Line),
        1 => any::<bool>().prop_map(Event::Records),
        1 => Just(Event::LoseLog),
        1 => Just(Event::Restart),
        1 => Just(Event::Evict),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn f30_f35_the_cache_changes_nothing_but_the_time_it_takes(events in prop::collection::vec(event(), 1..70)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let problem = runtime.block_on(play(&events)).err();
        prop_assert!(problem.is_none(), "{}", problem.unwrap_or_default());
    }
}

/// The world after all this; or what the gate has done wrong.
async fn play(events: &[Event]) -> Result<World, String> {
    let mut world = World::new();
    for (at, event) in events.iter().enumerate() {
        world.happen(*event).await.map_err(|problem| format!("event {at}, {event:?}: {problem}"))?;
    }
    Ok(world)
}

/// Where noting a use finds the session gone, the cache forgets it: the next use needs the store. A use that is not
/// noted finds out nothing, and what is cached counts while the store is down.
#[tokio::test]
async fn f30_a_session_found_gone_when_its_use_was_noted_is_read_again() {
    use Event::{Ask, AskSlowly, Other, Pass, Records};
    use Meanwhile::{Exist, Follow, Revoke};

    const MAY_NOT_IDLE: usize = 6;
    let again = AskSlowly(MAY_NOT_IDLE, Route::Strict, [Revoke(0, Scope::Itself), Revoke(0, Scope::Itself)]);
    for (seconds, outcome) in [(4, Ok(())), (5, Err(crate::model::denial::Reason::StoreUnavailable))] {
        let events = [
            AskSlowly(0, Route::Strict, [Revoke(0, Scope::Itself), Follow]),
            Ask(MAY_NOT_IDLE, Route::Strict),
            Other(Exist(MAY_NOT_IDLE, false, Announced::No)),
            Pass(seconds),
            again,
            Records(false),
            again,
        ];
        let world = play(&events).await.unwrap_or_else(|problem| panic!("after {seconds} s: {problem}"));
        assert_eq!(world.ask(MAY_NOT_IDLE, Route::Strict).await, outcome, "after {seconds} s");
    }
}

/// That the model accepts and refuses what it should, so that the above proves something.
#[tokio::test]
async fn the_model_can_tell_right_from_wrong() {
    let mut world = World::new();
    for (one, Credential { name, .. }) in CREDENTIALS.iter().enumerate() {
        assert_eq!(world.ask(one, Route::Strict).await, Err(crate::model::denial::Reason::RevocationStale), "{name}");
    }
    world.happen(Event::Other(Meanwhile::Follow)).await.unwrap();
    for (one, Credential { name, .. }) in CREDENTIALS.iter().enumerate() {
        assert_eq!(world.ask(one, Route::Readers).await, Ok(()), "{name}");
        world.happen(Event::Other(Meanwhile::Revoke(one, Scope::Itself))).await.unwrap();
        assert_eq!(world.ask(one, Route::Strict).await, Ok(()), "{name} is revoked, and nobody has heard of it");
        world.happen(Event::Other(Meanwhile::Follow)).await.unwrap();
        for route in [Route::Strict, Route::Lenient] {
            let refused = world.ask(one, route).await;
            assert_eq!(refused, Err(crate::model::denial::Reason::Revoked), "{name}");
        }
    }
}
