use super::page::title;
use super::results::Results;
use super::theme::Theme;
use drupe_benches::Hub;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const SIZE: (u32, u32) = (820, 440);
const FONT: &str = "sans-serif";

/// Draws cost against members, both in powers of ten. Bars show the confidence intervals.
pub(crate) fn lines(file: &Path, theme: Theme, results: &Results) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&theme.ground)?;
    let parameters = results.parameters();
    let (from, to) = (parameters.first().copied().unwrap_or(1), parameters.last().copied().unwrap_or(10));
    let mut chart = ChartBuilder::on(&area)
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d((from..to).log_scale(), (results.least() * 0.8..results.most() * 1.3).log_scale())?;
    let text = |size: i32| (FONT, size).into_font().color(&theme.text);
    chart
        .configure_mesh()
        .axis_style(theme.text)
        .bold_line_style(theme.grid)
        .light_line_style(theme.ground)
        .label_style(text(14))
        .axis_desc_style(text(15))
        .x_desc("members")
        .y_desc("processor time for each delivery, ns")
        .x_label_formatter(&|members| members.to_string())
        .y_label_formatter(&|nanos| format!("{nanos:.0}"))
        .draw()?;
    for ((hub, estimates), color) in results.of_hubs().zip(theme.series) {
        let points: Vec<_> = estimates.iter().map(|(members, estimate)| (*members, estimate.median)).collect();
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.clone(), style).point_size(3))?
            .label(name(hub))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
        chart.draw_series(estimates.iter().map(|(members, estimate)| {
            PathElement::new([(*members, estimate.low), (*members, estimate.high)], color.stroke_width(1))
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(theme.ground.mix(0.9))
        .border_style(theme.grid)
        .label_font(text(14))
        .draw()?;
    area.present()?;
    Ok(())
}

fn name(hub: Hub) -> String {
    title(hub).replace('`', "")
}

/// Draws one bar for each relay and parameter, with its value, divided by `unit`.
pub(crate) fn bars(file: &Path, theme: Theme, results: &Results, title: &str, unit: f64) -> Result<(), Box<dyn Error>> {
    let parameters = results.parameters();
    let rows = results.of_hubs().count() * (parameters.len() + 1);
    let height = 60 + 22 * u32::try_from(rows)?;
    let area = SVGBackend::new(file, (SIZE.0, height)).into_drawing_area();
    area.fill(&theme.ground)?;
    let text = |size: i32| (FONT, size).into_font().color(&theme.text);
    area.draw(&Text::new(title.to_owned(), (14, 14), text(15)))?;
    let (first, last) = (220.0, 700.0);
    #[expect(clippy::cast_possible_truncation, reason = "a place in the picture")]
    let place = |value: f64| (first + value / results.most() * (last - first)) as i32;
    let mut y = 46;
    for ((hub, estimates), color) in results.of_hubs().zip(theme.series) {
        for (parameter, estimate) in estimates {
            let label = name(hub);
            let label = if parameters.len() > 1 { format!("{label}, {parameter} %") } else { label };
            area.draw(&Text::new(label, (14, y + 2), text(14)))?;
            let end = place(estimate.median);
            area.draw(&Rectangle::new([(place(0.0), y), (end, y + 15)], color.filled()))?;
            area.draw(&Text::new(format!("{:.0}", estimate.median / unit), (end + 8, y + 2), text(14)))?;
            y += 22;
        }
        y += if parameters.len() > 1 { 22 } else { 10 };
    }
    area.present()?;
    Ok(())
}
