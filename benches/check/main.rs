//! In process: what `Gate::check` costs by kind of credential, cold and cached, without sockets.
//!
//! `cargo bench --bench check`. *Cached*: the credential has been seen before, so deciding is a digest, a look-up and the
//! checks that every hit repeats. *Cold*: the cache keeps nothing, so each request verifies (and, for API keys and
//! sessions, reads the embedded store). `primitive` is the bare signature check, for comparison.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod setup;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;

use setup::Bench;

fn check(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();

    let mut group = c.benchmark_group("cached");
    let bench = runtime.block_on(Bench::new(100_000));
    for request in bench.requests() {
        // The first look verifies; from then on no request of this kind waits for anything.
        runtime.block_on(bench.gate.check(&request.head(&bench))).expect("a permit");
        group.bench_function(request.name, |b| {
            b.iter(|| {
                let head = request.head(&bench);
                black_box(
                    bench.gate.check(black_box(&head)).now_or_never().expect("decided at once").expect("a permit"),
                )
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("cold");
    group.sample_size(50);
    let bench = runtime.block_on(Bench::new(0));
    for request in bench.requests() {
        group.bench_function(request.name, |b| {
            b.iter(|| {
                let head = request.head(&bench);
                black_box(runtime.block_on(bench.gate.check(black_box(&head))).expect("a permit"))
            });
        });
    }
    group.finish();

    let mut group = c.benchmark_group("primitive");
    let (key, message, signature) = setup::es256();
    group.bench_function("ES256 verify", |b| b.iter(|| key.verify(black_box(&message), &signature).expect("valid")));
    group.bench_function("SHA-256 of 600 bytes", |b| {
        b.iter(|| portcullis::crypto::digest::sha256(black_box(&[7; 600])))
    });
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
