use plotters::style::RGBColor;

/// The colours of a picture on a light or a dark page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    pub(crate) name: &'static str,
    pub(crate) ground: RGBColor,
    pub(crate) text: RGBColor,
    pub(crate) grid: RGBColor,
    /// One for each relay, in the order of [`Hub::ALL`](drupe_benches::Hub::ALL).
    pub(crate) series: [RGBColor; 5],
}

impl Theme {
    pub(crate) const ALL: [Self; 2] = [
        Self {
            name: "light",
            ground: RGBColor(255, 255, 255),
            text: RGBColor(31, 35, 40),
            grid: RGBColor(208, 215, 222),
            series: [
                RGBColor(110, 119, 129),
                RGBColor(9, 105, 218),
                RGBColor(26, 127, 55),
                RGBColor(130, 80, 223),
                RGBColor(207, 34, 46),
            ],
        },
        Self {
            name: "dark",
            ground: RGBColor(13, 17, 23),
            text: RGBColor(230, 237, 243),
            grid: RGBColor(48, 54, 61),
            series: [
                RGBColor(139, 148, 158),
                RGBColor(88, 166, 255),
                RGBColor(63, 185, 80),
                RGBColor(188, 140, 255),
                RGBColor(255, 123, 114),
            ],
        },
    ];
}
