//! How long the hot functions take: `cargo bench --bench hot`.

mod workloads;

use criterion::{Criterion, criterion_group, criterion_main};
use workloads::{ALL, Given};

fn hot(criterion: &mut Criterion) {
    let given = Given::new();
    for (name, workload) in ALL {
        criterion.bench_function(name, |bencher| bencher.iter(|| workload(&given)));
    }
    given.end();
}

criterion_group!(benches, hot);
criterion_main!(benches);
