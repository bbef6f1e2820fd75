// Figures that answer. A model takes a figure's state, which its controls hold, and returns `values`, which the tests
// compare with the studies', `curves` by panel, as points in its own units, and a sentence.
(() => {
  "use strict";
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];
  const grid = (low, high, steps = 200) => Array.from({ length: steps + 1 }, (_, i) => low + (i * (high - low)) / steps);
  const sum = (numbers) => numbers.reduce((total, value) => total + value, 0);
  const bars = (lengths, at = 0) => lengths.flatMap((length, i) => [[0, i + 1 + at], [length, i + 1 + at], null]);
  const dots = (places) => places.flatMap(([x, y]) => [[x, y], [x, y], null]);

  // --- loss, gradient and curvature against the logit ---

  const sigmoid = (z) => (z < 0 ? Math.exp(z) / (1 + Math.exp(z)) : 1 / (1 + Math.exp(-z)));
  const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  const smoothed = ({ y, epsilon }) => y * (1 - 2 * epsilon) + epsilon;
  const units = ({ base }) => 1 / (base === 0 ? 1 : Math.log(base));

  // (1 − p_t)^γ times cross-entropy, and its derivatives by z; nothing cancels in either tail.
  function fromLogits(logit, state) {
    const { gamma, temperature } = state, y = smoothed(state), z = logit / temperature;
    const p = sigmoid(z), rest = sigmoid(-z), variance = p * rest;
    const loss = y * softplus(-z) + (1 - y) * softplus(z), slope = (1 - y) * p - y * rest;
    const error = y * rest + (1 - y) * p, turn = (1 - 2 * y) * variance, bend = turn * (rest - p);
    const power = (n) => (n === 0 ? 1 : error ** n), unit = units(state);
    const first = gamma && gamma * power(gamma - 1) * turn * loss;
    const second = gamma && gamma * (gamma - 1) * power(gamma - 2) * turn * turn * loss
      + gamma * power(gamma - 1) * (bend * loss + 2 * turn * slope);
    return { p, loss: unit * power(gamma) * loss, gradient: (unit * (first + power(gamma) * slope)) / temperature,
      curvature: (unit * (second + power(gamma) * variance)) / temperature ** 2 };
  }

  // To the nearest float16, ties to even: 11 bits, from 2⁻²⁴ to 65504.
  function half(x) {
    const size = Math.abs(x);
    if (!(size > 0 && size < Infinity)) return x;
    const step = 2 ** (Math.max(Math.floor(Math.log2(size)), -14) - 10), steps = size / step, floor = Math.floor(steps);
    const up = steps - floor > 0.5 || (steps - floor === 0.5 && floor % 2 === 1);
    const rounded = (floor + up) * step;
    return Math.sign(x) * (rounded > 65504 ? Infinity : rounded);
  }

  const single = Math.fround, SMALLEST = single(1e-7), LARGEST = single(1 - 1e-7);

  // By way of a rounded probability that Keras clips in float32, as autodiff goes back through it.
  function fromProbability(logit, state, round) {
    const { gamma, temperature } = state, y = smoothed(state), unit = units(state);
    const p = round(sigmoid(logit / temperature)), c = Math.min(Math.max(p, SMALLEST), LARGEST);
    const loss = -(y * Math.log(c) + (1 - y) * Math.log(1 - c)), error = y * (1 - c) + (1 - y) * c;
    const slope = (1 - y) / (1 - c) - y / c;
    const byP = gamma ? gamma * error ** (gamma - 1) * (1 - 2 * y) * loss + error ** gamma * slope : slope;
    const gradient = p === c ? (round(unit * byP) * round(p * (1 - p))) / temperature : 0;
    return { p, loss: unit * error ** gamma * loss, gradient };
  }

  const PATHS = { logits: fromLogits, clip: (z, state) => fromProbability(z, state, single),
    half: (z, state) => fromProbability(z, state, half) };

  function lossByLogit(state) {
    const at = fromLogits(state.z, state), path = PATHS[state.path](state.z, state), steps = grid(-25, 25, 250);
    const line = (model, what) => steps.map((z) => [z, model(z, state)[what]]);
    const pair = (what) => ({ exact: line(fromLogits, what), path: line(PATHS[state.path], what),
      point: dots([[state.z, path[what]]]) });
    const dead = path.gradient === 0 && Math.abs(at.gradient) > 1e-6;
    const says = dead ? `Lost: theory has a gradient of ${show(at.gradient)}, this path gives 0.`
      : Number.isFinite(path.gradient) ? `The gradient is ${show(path.gradient)}; theory has ${show(at.gradient)}.`
        : `Overflow: 1/p is beyond float16, and the gradient is ${show(path.gradient)} in place of ${show(at.gradient)}.`;
    return { values: { p: at.p, target: smoothed(state), loss: at.loss, gradient: at.gradient, curvature: at.curvature,
      path_p: path.p, path_loss: path.loss, path_gradient: path.gradient }, says,
    curves: { loss: pair("loss"), gradient: pair("gradient"),
      curvature: { exact: line(fromLogits, "curvature"), point: dots([[state.z, at.curvature]]) } } };
  }

  // --- softmax competition ---

  function softmax(logits) {
    const top = Math.max(...logits), powers = logits.map((z) => Math.exp(z - top));
    return powers.map((power) => power / sum(powers));
  }

  function competition(state) {
    const logits = [state.z1, state.z2, state.z3, state.z4], y = logits.map((_, k) => Number(k + 1 === state.y));
    const p = softmax(logits), gradient = p.map((value, k) => value - y[k]);
    const moved = logits.map((z, k) => z - state.rate * gradient[k]), after = softmax(moved);
    const push = sum(p.map((value, k) => value * gradient[k])), gain = p.map((value, k) => value * (push - gradient[k]));
    const values = {};
    p.forEach((_, k) => Object.assign(values, { [`p${k + 1}`]: p[k], [`gradient${k + 1}`]: gradient[k],
      [`moved${k + 1}`]: moved[k], [`after${k + 1}`]: after[k], [`gain${k + 1}`]: gain[k] }));
    const winners = p.map((_, k) => k + 1).filter((k) => k !== state.y && after[k - 1] > p[k - 1]);
    const says = winners.length ? `Every wrong logit falls, and yet probability is gained by wrong ones: ${winners.join(", ")}.`
      : "The step raises the true class; every wrong class loses probability.";
    return { values, says, curves: {
      logits: { before: bars(logits, -0.12), after: bars(moved, 0.2) },
      gradient: { before: bars(gradient) }, p: { before: bars(p, -0.12), after: bars(after, 0.2) } } };
  }

  // --- cross-entropy against the Brier score ---

  const xlog = (a, b) => (a === 0 ? 0 : a * Math.log(a / b));
  const divergence = (q, p) => xlog(q, p) + xlog(1 - q, 1 - p);
  const severity = (q, p) => (p === q ? 1 / (2 * q * (1 - q)) : divergence(q, p) / (p - q) ** 2);

  // The chance that a prediction of focal loss stands for; `rest` is 1 − p.
  function restored(p, rest, gamma) {
    const share = (a, b) => a / (b ** gamma - gamma * b ** (gamma - 1) * a * Math.log(a));
    const one = share(p, rest), zero = share(rest, p);
    return one / (one + zero);
  }

  function focalMinimiser(q, gamma) {
    let low = -30, high = 30;
    for (let i = 0; i < 60; i++) {
      const z = (low + high) / 2;
      if (restored(sigmoid(z), sigmoid(-z), gamma) < q) low = z; else high = z;
    }
    return sigmoid(low);
  }

  function scores({ q, p, gamma }) {
    const inside = grid(0.002, 0.998), least = focalMinimiser(q, gamma), kl = divergence(q, p), square = (p - q) ** 2;
    const says = `Predicting ${show(p)} where the truth is ${show(q)} costs ${show(kl)} nats or ${show(square)} Brier: `
      + `${show(severity(q, p))} times as much. Focal loss would rather say ${show(least)}.`;
    return { values: { kl, square, severity: severity(q, p), minimiser: least, restored: restored(p, 1 - p, gamma) }, says,
      curves: { excess: { exact: inside.map((x) => [x, divergence(q, x)]), path: inside.map((x) => [x, (x - q) ** 2]),
        point: dots([[p, kl], [p, square]]) },
      severity: { exact: inside.map((x) => [x, severity(q, x)]), point: dots([[p, severity(q, p)]]) },
      minimiser: { truth: [[0, 0], [1, 1]], exact: grid(0.01, 0.99, 98).map((x) => [x, focalMinimiser(x, gamma)]),
        point: dots([[q, least]]) } } };
  }

  // --- two labels and a feature ---

  const entropy = (table) => -sum(table.map((p) => (p > 0 ? p * Math.log(p) : 0)));
  const labelwise = ([p00, p01, p10, p11]) => entropy([p00 + p01, p10 + p11]) + entropy([p00 + p10, p01 + p11]);

  // P(x) with P(y | x) of the outcomes 00, 01, 10, 11.
  function laws({ law, strength, revealed, wrong }) {
    const same = (1 - wrong) / 2, other = wrong / 2;
    if (law === "xor") return [[0.5, [same, other, other, same]], [0.5, [other, same, same, other]]];
    const a = (1 + strength) / 2, b = (1 - strength) / 2, off = [a * a, a * b, a * b, b * b], on = [...off].reverse();
    return [[revealed / 2, off], [revealed / 2, on], [1 - revealed, off.map((p, i) => (p + on[i]) / 2)]];
  }

  function twoLabels(state) {
    const tables = laws(state), mean = (what) => sum(tables.map(([chance, table]) => chance * what(table)));
    const whole = [0, 1, 2, 3].map((i) => mean((table) => table[i]));
    const independent = mean(labelwise), joint = mean(entropy), information = labelwise(whole) - entropy(whole);
    const gap = independent - joint, apart = Math.abs(gap - information) > 1e-9;
    const says = `Independent losses cost ${show(gap)} nats more; the unconditional formula says ${show(information)}`
      + `${apart ? ": it leaves out the feature." : ", and here it is right."}`;
    const rows = (k) => (tables[k] ? bars(tables[k][1], 0.25 * k - 0.25) : []);
    return { values: { independent, joint, gap, information }, says, curves: {
      tables: { first: rows(0), second: rows(1), third: rows(2) },
      nats: { before: bars([independent, joint, gap, information]) } } };
  }

  // --- class weights and label noise ---

  function weighted({ q, w0, w1, flip0, flip1 }) {
    const seenAs = (x) => (1 - flip1) * x + flip0 * (1 - x), learnt = (x) => (w1 * x) / (w1 * x + w0 * (1 - x));
    const seen = seenAs(q), p = learnt(seen), kept = 1 - flip0 - flip1;
    const unweighted = (w0 * p) / (w0 * p + w1 * (1 - p)), undone = (unweighted - flip0) / kept;
    const shift = Math.log(w1 / w0), border = (w0 / (w0 + w1) - flip0) / kept, steps = grid(0, 1, 100);
    const says = `A chance of ${show(q)} is learnt as ${show(p)}; p > ½ means a chance above ${show(border)}. `
      + `Undone: ${show(undone)}.`;
    return { values: { seen, p, shift, border, unweighted, undone }, says, curves: {
      learnt: { truth: [[0, 0], [1, 1]], path: steps.map((x) => [x, seenAs(x)]), exact: steps.map((x) => [x, learnt(seenAs(x))]),
        point: dots([[q, p]]) },
      chain: { before: bars([q, seen, p, unweighted, undone]) } } };
  }

  const MODELS = { "try-loss": lossByLogit, "try-softmax": competition, "try-score": scores, "try-labels": twoLabels,
    "try-weights": weighted };

  // --- drawing, and what a hand does ---

  function show(value) {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "—" : value > 0 ? "∞" : "−∞";
    const size = Math.abs(value), text = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
    return text.replace("e+", "e").replaceAll("-", "−");
  }

  // The plot of a panel: from its units to its pixels and back.
  function scaleOf(plot) {
    const [x0, x1, y0, y1] = plot.dataset.range.split(" ").map(Number), { width, height } = plot.viewBox.baseVal;
    return { to: ([x, y]) => [((x - x0) / (x1 - x0)) * width, ((y1 - y) / (y1 - y0)) * height],
      from: (right, down) => [x0 + right * (x1 - x0), y1 - down * (y1 - y0)] };
  }

  function pathOf(points, to) {
    let next = "M";
    return points.map((point) => {
      const place = point && point.every(Number.isFinite) && to(point).map((v) => Math.min(Math.max(v, -999), 999).toFixed(1));
      const step = place ? `${next}${place.join(" ")}` : "";
      next = place ? "L" : "M";
      return step;
    }).join("");
  }

  const inputs = (figure) => all("input, select", figure);
  const stateOf = (figure) => Object.fromEntries(inputs(figure).map(({ name, value }) =>
    [name, value === "" || Number.isNaN(Number(value)) ? value : Number(value)]));

  function draw(figure) {
    const { values, curves, says } = MODELS[figure.id](stateOf(figure));
    for (const plot of all("svg[data-panel]", figure)) {
      const { to } = scaleOf(plot), drawn = curves[plot.dataset.panel];
      for (const path of all("path", plot)) path.setAttribute("d", pathOf(drawn[path.dataset.curve], to));
    }
    for (const reading of all("data[data-name]", figure)) {
      reading.value = values[reading.dataset.name];
      reading.textContent = show(values[reading.dataset.name]);
    }
    for (const input of inputs(figure)) if (input.type === "range") input.nextElementSibling.textContent = show(Number(input.value));
    figure.querySelector(".says").textContent = says;
    const address = inputs(figure).map(({ name, value }) => `${name}=${value}`).join("&");
    figure.querySelector(".address").setAttribute("href", `#${figure.id}?${address}`);
  }

  function set(figure, state) {
    for (const [name, value] of new URLSearchParams(state)) {
      const input = inputs(figure).find((one) => one.name === name);
      if (!input) continue;
      const { value: kept } = input;
      input.value = value;
      input.value ||= kept; // a choice that there is not
    }
    draw(figure);
  }

  // Pulling along x in a panel sets the control of its row.
  function pull(figure, plot, event) {
    const box = plot.getBoundingClientRect(), names = plot.dataset.drag.split(" ");
    const [x, y] = scaleOf(plot).from((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    const row = Math.min(Math.max(Math.round(y), 1), names.length) - 1;
    plot.pulled ??= names[names.length > 1 ? row : 0];
    set(figure, { [plot.pulled]: x });
  }

  function draggable(figure, plot) {
    plot.addEventListener("pointerdown", (event) => {
      plot.setPointerCapture(event.pointerId);
      plot.pulled = undefined;
      pull(figure, plot, event);
    });
    plot.addEventListener("pointermove", (event) => event.buttons && pull(figure, plot, event));
  }

  const figures = all(".explorable");
  for (const figure of figures) {
    for (const plot of all("svg[data-drag]", figure)) draggable(figure, plot);
    const form = figure.querySelector("form");
    form.addEventListener("input", () => draw(figure));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => draw(figure)));
    for (const hidden of all("[hidden]", figure)) hidden.hidden = false;
    draw(figure);
  }

  // `#try-loss?z=-16&path=clip` opens a figure at a setting; so does a sentence's link.
  function open() {
    const [id, state] = location.hash.slice(1).split("?");
    const figure = state && figures.find((one) => one.id === id);
    if (!figure) return;
    set(figure, state);
    figure.scrollIntoView();
  }

  for (const link of all("a[data-state]")) link.addEventListener("click", () =>
    set(document.querySelector(link.getAttribute("href")), link.dataset.state));
  addEventListener("hashchange", open);
  open();
})();
