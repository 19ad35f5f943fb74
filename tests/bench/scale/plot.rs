//! Curves by the number of objects, on logarithmic axes.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::super::results;

/// One plot.
pub struct Plot {
    /// The file's name.
    pub file: &'static str,
    /// Above it.
    pub title: &'static str,
    /// Of the upward axis.
    pub unit: &'static str,
    /// Names, and values by the number of objects.
    pub curves: Vec<(&'static str, Vec<(usize, f64)>)>,
}

// === impl Plot ===

impl Plot {
    /// Draws it beside the results.
    pub fn draw(&self) -> Result<()> {
        let path = results::folder().join(self.file);
        self.try_draw(&path).map_err(|error| anyhow!("failed to draw {}: {error}", path.display()))
    }

    fn try_draw(&self, path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.curves.iter().flat_map(|(_, points)| points);
        let (low, high) =
            points().fold((f64::MAX, 0.0_f64), |(low, high), (_, value)| (low.min(*value), high.max(*value)));
        let last = points().map(|(size, _)| *size).max().unwrap_or(1);
        let first = points().map(|(size, _)| *size).min().unwrap_or(1);
        let area = SVGBackend::new(path, (960, 600)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d((first..last + 1).log_scale(), (low.max(0.001) / 2.0..high * 2.0).log_scale())?;
        chart.configure_mesh().x_desc("objects").y_desc(self.unit).draw()?;
        for (index, (name, points)) in self.curves.iter().enumerate() {
            let color = Palette99::pick(index).to_rgba();
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, color.filled())))?;
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
        area.present()?;
        Ok(())
    }
}
