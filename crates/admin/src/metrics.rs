//! What Prometheus scrapes, in the text format.
//!
//! Why a collector that is filled at the scrape: the relay counts in plain numbers of its own, which cost it next to
//! nothing, and nobody keeps the same number twice.
//!
//! Invariants: label values come from the configuration, from closed sets in the code, or from names that have
//! logged in; a number that is not known is left out rather than shown as 0.
//! Absent: the list of metrics, which is `families.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use pgweir_proxy::report::Report;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto;
use prometheus::{Registry, TextEncoder};

mod families;

use families::{FAMILIES, Family, Reading, Sample, Seen};

/// The registry of everything that is scraped.
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Metrics that are read from `report` at each scrape.
    #[must_use]
    pub fn new(report: Arc<dyn Report>) -> Self {
        let registry = Registry::new();
        let families = Box::new(Families { report, descriptions: FAMILIES.iter().map(describe).collect() });
        registry.register(families).expect("the names of the families are distinct");
        let process = Box::new(ProcessCollector::for_self());
        registry.register(process).expect("process metrics have a prefix of their own");
        Self { registry }
    }

    /// The present values in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).expect("gathered families have names and samples")
    }
}

/// The media type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

struct Families {
    report: Arc<dyn Report>,
    descriptions: Vec<Desc>,
}

impl Collector for Families {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let seen = Seen::read(&*self.report);
        let filled = FAMILIES.iter().map(|family| fill(family, &seen));
        filled.filter(|family| !family.get_metric().is_empty()).collect()
    }
}

fn describe(family: &Family) -> Desc {
    let labels = family.labels.iter().map(|label| (*label).to_owned()).collect();
    Desc::new(family.name.to_owned(), family.help.to_owned(), labels, HashMap::new())
        .expect("names and labels of the table are valid")
}

fn fill(family: &Family, seen: &Seen) -> proto::MetricFamily {
    let samples = (family.samples)(seen);
    let mut filled = proto::MetricFamily::default();
    filled.set_name(family.name.to_owned());
    filled.set_help(family.help.to_owned());
    filled.set_field_type(family.kind);
    filled.set_metric(samples.into_iter().map(|sample| metric(family, sample)).collect());
    filled
}

fn metric(family: &Family, sample: Sample<'_>) -> proto::Metric {
    assert_eq!(family.labels.len(), sample.labels.len(), "{}: a value for each label", family.name);
    let label = |(name, value): (&&str, String)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value);
        pair
    };
    let mut metric = proto::Metric::from_label(family.labels.iter().zip(sample.labels).map(label).collect());
    match (family.kind, sample.reading) {
        (proto::MetricType::COUNTER, Reading::Number(value)) => {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        (proto::MetricType::GAUGE, Reading::Number(value)) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        (proto::MetricType::HISTOGRAM, Reading::Histogram(histogram)) => {
            metric.set_histogram(cumulative(histogram));
        }
        (kind, _) => unreachable!("{}: no such reading for {kind:?}", family.name),
    }
    metric
}

/// Prometheus counts an event in every bucket that could hold it; the encoder adds `+Inf`.
fn cumulative(histogram: &pgweir_proxy::report::Histogram) -> proto::Histogram {
    let mut count = 0;
    let mut buckets = Vec::with_capacity(histogram.buckets.len());
    for bucket in &histogram.buckets {
        count += bucket.count;
        let mut shown = proto::Bucket::default();
        shown.set_upper_bound(bucket.at_most.as_secs_f64());
        shown.set_cumulative_count(count);
        buckets.push(shown);
    }
    let mut shown = proto::Histogram::default();
    shown.set_bucket(buckets);
    shown.set_sample_count(count + histogram.beyond);
    shown.set_sample_sum(histogram.sum.as_secs_f64());
    shown
}

#[cfg(test)]
mod tests;
