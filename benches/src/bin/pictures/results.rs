//! The results of one group of benchmarks, as criterion stores them.

use drupe_benches::Hub;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A median and its confidence interval of 95 %.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Estimates for each relay, by the parameter of the benchmark.
#[derive(Debug)]
pub(crate) struct Results(Vec<BTreeMap<u64, Estimate>>);

impl Results {
    /// Reads `GROUP/RELAY/PARAMETER/new/{estimates,benchmark}.json`.
    pub(crate) fn read(group: &Path) -> io::Result<Self> {
        let of_hub = |hub: Hub| {
            let mut found = BTreeMap::new();
            for entry in std::fs::read_dir(group.join(hub.name()))? {
                let path = entry?.path();
                if let Some(parameter) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) {
                    found.insert(parameter, estimate(&path.join("new"))?);
                }
            }
            Ok(found)
        };
        Hub::ALL.into_iter().map(of_hub).collect::<io::Result<_>>().map(Self).map_err(|error: io::Error| {
            let hint = "run `cargo bench -p drupe-benches --bench pictures` first";
            io::Error::other(format!("{}: {error}; {hint}", group.display()))
        })
    }

    /// Returns the estimates of each relay.
    pub(crate) fn of_hubs(&self) -> impl Iterator<Item = (Hub, &BTreeMap<u64, Estimate>)> {
        Hub::ALL.into_iter().zip(&self.0)
    }

    /// Returns the parameters with which all relays were measured.
    pub(crate) fn parameters(&self) -> Vec<u64> {
        let Some((first, others)) = self.0.split_first() else { return Vec::new() };
        first.keys().copied().filter(|key| others.iter().all(|other| other.contains_key(key))).collect()
    }

    /// Returns the largest estimate.
    pub(crate) fn most(&self) -> f64 {
        self.0.iter().flat_map(BTreeMap::values).map(|estimate| estimate.high).fold(0.0, f64::max)
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().flat_map(BTreeMap::values).map(|estimate| estimate.low).fold(f64::INFINITY, f64::min)
    }
}

/// Returns the estimate for each element, if the benchmark says how many there are.
fn estimate(folder: &Path) -> io::Result<Estimate> {
    let json = |name: &str| -> io::Result<Value> {
        serde_json::from_slice(&std::fs::read(folder.join(name))?).map_err(io::Error::other)
    };
    let (estimates, benchmark) = (json("estimates.json")?, json("benchmark.json")?);
    let elements = benchmark["throughput"]["Elements"].as_f64().unwrap_or(1.0);
    let median = &estimates["median"];
    let field = |value: &Value| {
        let value = value.as_f64().ok_or_else(|| io::Error::other("estimates.json has no median"))?;
        Ok::<_, io::Error>(value / elements)
    };
    let interval = &median["confidence_interval"];
    Ok(Estimate {
        median: field(&median["point_estimate"])?,
        low: field(&interval["lower_bound"])?,
        high: field(&interval["upper_bound"])?,
    })
}
