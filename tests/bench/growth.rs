//! How comparing grows with what is declared: up to a ConfigMap of a megabyte and a keyed list of five thousand elements.
//!
//! The objects are made here, in the form the API server answers them. A plot and the slope on its logarithmic axes tell whether
//! growth is linear (slope 1); a list whose elements stand in another order than Git's is measured too, for there a naive search
//! would grow with the square.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use holdfast::core::breakglass::Limits;
use holdfast::core::compare::{Scope, compare};
use holdfast::core::declaration::Declaration;
use holdfast::core::drift::drift;
use holdfast::core::judge::{Action, Court, Edit, Verdict, judge};
use holdfast::core::manifest::{Lines, Manifest, Origin};
use holdfast::core::object::ObjectKey;
use holdfast::core::snapshot::{Managed, Snapshot};
use holdfast::core::state::State;
use holdfast::core::who::User;
use jiff::SignedDuration;
use plotters::prelude::*;
use serde_json::{Map, Value, json};

use super::material::{Material, identities, is_person};
use super::measure::{machine, per_call};
use super::results::{self, Figure, Results};

/// Declared elements in each measurement. The largest ConfigMap has a megabyte, the largest list five thousand elements.
const SIZES: [usize; 6] = [20, 100, 500, 1_000, 2_500, 5_000];

/// Bytes of a ConfigMap's value, so that the largest one has a megabyte: the most etcd takes, about.
const VALUE_BYTES: usize = 190;

/// What is measured: declared elements, and microseconds for each question.
struct Curve {
    name: &'static str,
    points: Vec<(usize, f64)>,
}

/// Measures all curves, writes the plot, and says how steep they are.
pub fn run(results: &mut Results) -> Result<()> {
    let curves = [
        curve("compare, ConfigMap", &config_map, &comparing)?,
        curve("drift, ConfigMap", &config_map, &judging)?,
        curve("read, ConfigMap", &config_map, &reading)?,
        curve("compare, keyed list", &listed, &comparing)?,
        curve("compare, keyed list in another order", &turned, &comparing)?,
        curve("drift, keyed list", &listed, &judging)?,
        curve("read, keyed list", &listed, &reading)?,
        curve("judge an edit, keyed list", &listed, &refusing)?,
    ];
    let plot = results::folder().join("compare-growth.svg");
    std::fs::create_dir_all(results::folder())?;
    draw(&plot, &curves).map_err(|error| anyhow!("failed to draw: {error}"))?;
    for curve in &curves {
        let points: Vec<_> = curve.points.iter().map(|(size, micros)| format!("{size}: {micros:.1}")).collect();
        println!("  {:<38} slope {:.2}   us by declared elements: {}", curve.name, curve.slope(), points.join(", "));
    }
    let steepest = curves.iter().map(Curve::slope).fold(0.0, f64::max);
    let largest = SIZES[SIZES.len() - 1];
    let what = format!("steepest of {} curves up to {largest} elements, plotted in {}", curves.len(), plot.display());
    results.set("compare_growth_slope", Figure::new(steepest, "ratio", format!("{what}; {}", machine())));
    Ok(())
}

type Make = dyn Fn(usize) -> Result<(Managed, Value)>;
type Ask = dyn Fn(&Managed, &Value) -> f64;

fn curve(name: &'static str, make: &Make, ask: &Ask) -> Result<Curve> {
    let point = |size: &usize| {
        let (managed, live) = make(*size)?;
        let found = drift(&managed, &State::whole(&live), &is_person);
        ensure!(found.is_empty(), "{name} of {size}: not in sync: {found:?}");
        Ok((*size, ask(&managed, &live)))
    };
    Ok(Curve { name, points: SIZES.iter().map(point).collect::<Result<_>>()? })
}

fn comparing(managed: &Managed, live: &Value) -> f64 {
    per_call(|| compare(&managed.declaration, &State::whole(live), Scope::Whole)).median()
}

fn judging(managed: &Managed, live: &Value) -> f64 {
    per_call(|| drift(managed, &State::whole(live), &is_person)).median()
}

fn reading(managed: &Managed, live: &Value) -> f64 {
    let manifest = managed.manifest.unpacked();
    per_call(|| Declaration::read(&manifest, live)).median()
}

/// What admission asks when a person changes one element: that the answer is a refusal is checked, too.
fn refusing(managed: &Managed, live: &Value) -> f64 {
    let (snapshot, identities) = (Snapshot::new([Arc::new(managed.clone())]), identities());
    let limits = Limits { default: SignedDuration::from_mins(30), max: SignedDuration::from_hours(2) };
    let court = Court { snapshot: &snapshot, identities: &identities, limits: &limits, observe_only: false };
    let user = User { name: "alice".to_owned(), groups: vec!["system:authenticated".to_owned()] };
    let edited = edited(live);
    let judge_it = || {
        let action = Action::Update(State::whole(live), State::whole(&edited), Scope::Whole);
        let (key, now) = (&managed.manifest.key, jiff::Timestamp::UNIX_EPOCH);
        judge(&Edit { key, user: &user, action, manager: Some("kubectl-edit"), may_break_glass: false, now }, &court)
            .verdict
    };
    assert_eq!(judge_it(), Verdict::Deny, "a person changes what Git declares");
    per_call(judge_it).median()
}

/// The first element with another value, which is no longer ours.
fn edited(live: &Value) -> Value {
    let mut edited = live.clone();
    edited["spec"]["list"][0]["value"] = "another".into();
    let key = format!("k:{}", json!({"name": edited["spec"]["list"][0]["name"]}));
    let owners = &mut edited["metadata"]["managedFields"];
    if let Some(ours) = owners[0]["fieldsV1"]["f:spec"]["f:list"][&key].as_object_mut() {
        ours.remove("f:value");
    }
    let theirs = json!({"f:spec": {"f:list": {key: {"f:value": {}}}}});
    let entry =
        json!({"manager": "kubectl-edit", "operation": "Update", "apiVersion": "example.dev/v1", "fieldsV1": theirs});
    owners.as_array_mut().expect("the answer has owners").push(entry);
    edited
}

// === impl Curve ===

impl Curve {
    /// The slope on logarithmic axes over the larger sizes, by least squares: 1 is linear, 2 a square.
    fn slope(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // sizes are small
        let logs = self.points.iter().skip(1).map(|(size, micros)| ((*size as f64).ln(), micros.ln()));
        let logs: Vec<_> = logs.collect();
        #[allow(clippy::cast_precision_loss)]
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / logs.len() as f64;
        let (x, y) = (mean(&|log| log.0), mean(&|log| log.1));
        mean(&|log| (log.0 - x) * (log.1 - y)) / mean(&|log| (log.0 - x).powi(2))
    }
}

fn config_map(size: usize) -> Result<(Managed, Value)> {
    let name = |index: usize| format!("key-{index:05}");
    let data: Map<_, _> = (0..size).map(|index| (name(index), Value::from("v".repeat(VALUE_BYTES)))).collect();
    let owned: Map<_, _> = (0..size).map(|index| (format!("f:{}", name(index)), json!({}))).collect();
    let manifest = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large", "namespace": "shop"}, "data": data,
    });
    declared(manifest.clone(), answered(manifest, &json!({"f:data": owned})))
}

fn listed(size: usize) -> Result<(Managed, Value)> {
    let element = |index: usize| json!({"name": format!("VARIABLE_{index:05}"), "value": "v"});
    let key = |index: usize| format!("k:{}", json!({"name": format!("VARIABLE_{index:05}")}));
    // Not in the order of their names: neither is Git.
    let order = || (0..size).map(|index| index * 7919 % size);
    let list: Vec<_> = order().map(element).collect();
    let owned: Map<_, _> = (0..size).map(|index| (key(index), json!({".": {}, "f:name": {}, "f:value": {}}))).collect();
    let manifest = json!({
        "apiVersion": "example.dev/v1", "kind": "Large", "metadata": {"name": "large", "namespace": "shop"},
        "spec": {"list": list},
    });
    declared(manifest.clone(), answered(manifest, &json!({"f:spec": {"f:list": owned}})))
}

/// The same, with the live list in another order than Git's.
fn turned(size: usize) -> Result<(Managed, Value)> {
    let (managed, mut live) = listed(size)?;
    if let Some(Value::Array(list)) = live.pointer_mut("/spec/list") {
        list.reverse();
    }
    Ok((managed, live))
}

fn answered(mut manifest: Value, fields: &Value) -> Value {
    manifest["metadata"]["managedFields"] = json!([{
        "manager": "holdfast", "operation": "Apply", "apiVersion": manifest["apiVersion"], "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }]);
    manifest
}

fn declared(value: Value, answer: Value) -> Result<(Managed, Value)> {
    let key = ObjectKey::of(&value).expect("the objects above have names");
    let manifest = Manifest { key, origin: Origin { file: "large.yaml".into(), lines: Lines::leaf(1) }, value };
    let declaration = Declaration::read(&manifest, &answer)?;
    let like = Material::read()?.managed;
    let managed = Managed { manifest: Arc::new(manifest.into()), declaration, ..(*like).clone() };
    Ok((managed, answer))
}

/// Draws all curves on logarithmic axes, with a straight line of slope 1 beside them.
fn draw(path: &Path, curves: &[Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, (960, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let last = SIZES[SIZES.len() - 1];
    let slowest = curves.iter().flat_map(|curve| &curve.points).map(|(_, micros)| *micros).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption("Comparing, by declared elements", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((SIZES[0]..last).log_scale(), (0.1..slowest * 2.0).log_scale())?;
    chart.configure_mesh().x_desc("declared elements").y_desc("CPU microseconds").draw()?;
    #[allow(clippy::cast_precision_loss)]
    let straight = SIZES.iter().map(|size| (*size, *size as f64 / 100.0));
    chart.draw_series(LineSeries::new(straight, BLACK.mix(0.3)))?.label("slope 1").legend(|(x, y)| mark(x, y, &BLACK));
    for (index, curve) in curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)))?
            .label(format!("{} (slope {:.2})", curve.name, curve.slope()))
            .legend(move |(x, y)| mark(x, y, &color));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}

fn mark(x: i32, y: i32, color: &impl Color) -> PathElement<(i32, i32)> {
    PathElement::new([(x, y), (x + 20, y)], color.to_rgba())
}
