use super::*;
use crate::model::SystemEntropy;
use crate::model::settings::{EndpointHealth, Statuses, UpstreamSettings};
use crate::upstream::health::Standing;
use crate::upstream::testing::{Origin, on_one_thread, settings};

fn how() -> HealthCheck {
    HealthCheck {
        path: "/healthz".into(),
        host: None,
        interval: Duration::from_millis(1),
        jitter: 0,
        timeout: Duration::from_secs(20),
        healthy: 2,
        unhealthy: 3,
        pass: Statuses(vec![200..=299]),
    }
}

fn conditions_of(origins: &[&Origin], how: HealthCheck) -> (Conditions, Arc<UpstreamHealth>) {
    let health = EndpointHealth { check: Some(how), ..EndpointHealth::default() };
    let endpoints = origins.iter().map(|origin| origin.endpoint()).collect();
    let settings = Arc::new(UpstreamSettings { health, ..settings(endpoints) });
    let conditions = Conditions::new(std::slice::from_ref(&settings));
    let health = conditions.of(&settings);
    (conditions, health)
}

/// What is found of one endpoint, check by check: `+` passes, `-` fails.
async fn found(checks: &str) -> Vec<Standing> {
    let origin = Origin::new().await;
    let (conditions, health) = conditions_of(&[&origin], how());
    let checker = Checker::new(&conditions, Arc::new(SystemEntropy)).unwrap();
    let (asked, mut streak) = (&checker.asked[0], Streak::default());
    let after = |check| {
        asked.found(&if check == '+' { Ok(()) } else { Err("no".to_owned()) }, &mut streak);
        health.standings().next().unwrap().1
    };
    checks.chars().map(after).collect()
}

#[tokio::test]
async fn so_many_in_a_row_decide_and_the_first_one_does_alone() {
    use Standing::{Healthy, Unhealthy};
    assert_eq!(found("-+++").await, [Unhealthy, Unhealthy, Healthy, Healthy]);
    assert_eq!(found("+--+---").await, [Healthy, Healthy, Healthy, Healthy, Healthy, Healthy, Unhealthy]);
    assert_eq!(found("-+-++").await, [Unhealthy, Unhealthy, Unhealthy, Unhealthy, Healthy]);
}

#[tokio::test]
async fn endpoints_are_asked_again_and_again_and_one_that_never_answers_delays_nobody() {
    on_one_thread(async {
        let (well, hanging) = (Origin::new().await, Origin::new().await);
        let (conditions, health) = conditions_of(&[&hanging, &well], how());
        let checker = Checker::new(&conditions, Arc::new(SystemEntropy)).unwrap();
        let checks = async {
            let mut held = hanging.accept().await;
            held.head().await;
            for _ in 0..5 {
                let mut wire = well.accept().await;
                wire.head().await;
                wire.say("HTTP/1.1 204 No Content\r\n\r\n").await;
                wire.closed().await;
            }
            well.accept().await
        };
        tokio::select! {
            () = checker.run() => {}
            _wire = checks => {}
        }
        let standings: Vec<_> = health.standings().map(|(_, standing, _)| standing).collect();
        assert_eq!(standings, [Standing::Unchecked, Standing::Healthy]);
        assert_eq!(health.endpoints()[1].checks_passed.load(Relaxed), 5);
    })
    .await;
}

#[tokio::test]
async fn pauses_are_as_long_as_said_and_a_little_more() {
    let origin = Origin::new().await;
    let interval = Duration::from_secs(10);
    let (conditions, _) = conditions_of(&[&origin], HealthCheck { interval, jitter: 20, ..how() });
    let checker = Checker::new(&conditions, Arc::new(SystemEntropy)).unwrap();
    let pauses: Vec<_> = (0..50).map(|_| checker.asked[0].pause(&SystemEntropy)).collect();
    assert!(pauses.iter().all(|pause| (10.0..=12.0).contains(&pause.as_secs_f64())), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause != pauses[0]));
}

#[test]
fn upstreams_without_checks_are_left_in_peace() {
    let settings = [Arc::new(settings(Vec::new()))];
    let checker = Checker::new(&Conditions::new(&settings), Arc::new(SystemEntropy)).unwrap();
    assert!(checker.asked.is_empty());
}
