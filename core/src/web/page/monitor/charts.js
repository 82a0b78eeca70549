// Charts: curves over time.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 100;

function draw(parent, name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

// The top of the scale is a round number, so that it does not move with every sample.
function roundUp(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * size >= value) * size;
}

// A chart of these curves. Each has a name, the key of its values in a point, how a value is shown, and the least top.
function chart(figure, title, series, isOneScale) {
  const caption = make(figure, "figcaption");
  make(caption, "span", "title", title);
  const svg = draw(figure, "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title });
  draw(svg, "path", { class: "grid", d: `M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}` });
  const curves = series.map((one, index) => {
    const legend = make(caption, "span", "series", one.name);
    legend.dataset.series = index;
    return { ...one, legend, path: draw(svg, "path", { class: "curve", "data-series": index }) };
  });
  const ends = make(figure, "p", "ends");
  const [start, end] = [make(ends, "span"), make(ends, "span")];
  return {
    // Draws the points of this time, each with its time `at` in milliseconds. Null is a gap.
    show(points, from, to, words) {
      const x = ({ at: time }) => (WIDTH * (time - from) / (to - from)).toFixed(1);
      const tops = curves.map(({ key, least }) => roundUp(points.reduce((top, point) => Math.max(top, number(point?.[key]) ?? 0), least)));
      curves.forEach((curve, index) => {
        const top = isOneScale ? Math.max(...tops) : tops[index];
        let path = "";
        let isDown = false;
        for (const point of points) {
          const value = number(point?.[curve.key]);
          if (value !== null) path += `${isDown ? "L" : "M"}${x(point)} ${(HEIGHT * (1 - value / top)).toFixed(1)}`;
          isDown = value !== null;
        }
        curve.path.setAttribute("d", path);
        put(curve.legend, `${curve.name} ${curve.show(points.at(-1)?.[curve.key])} (top ${curve.show(top)})`);
      });
      put(start, words[0]);
      put(end, words[1]);
    },
  };
}
