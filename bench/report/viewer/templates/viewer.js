"use strict";
// REPORT, which stands above, is what the page knows of its scenes; their scripts lie beside it.
const $ = (id) => document.getElementById(id);
const FIXED = { truth: "truth", reference: "reference frame", short: "short frame", long: "long frame" };
const LIMITS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const MODES = ["slider", "flicker", "side"], TONES = ["local", "mu", "srgb"], MAPS = ["none", "error", "seen"];
const START = { mode: "slider", zoom: 1, x: 0.5, y: 0.5, ev: 0, tone: "local", map: "none", strength: 80, limit: 0.05, split: 0.5, third: 0 };
const LARGEST = 64, KEPT = 3;
const HINT = "Wheel: enlarge. Drag: move the line or the pictures. Space: flicker. Arrows: scene and method. ?: all keys.";
const state = { scene: REPORT.scenes[0].name, a: "", b: "", ...START };
let scene = null; // what is shown, read
let flipped = false, timer = 0;

// ---- Reading: a scene's script calls viewer.add with its header and its bodies as text of seven bits a character.

const waiting = new Map(), read = new Map();
const viewer = { add(name, header, bodies) { waiting.get(name)?.(unpackScene(name, header, bodies)); } };

function load(name) {
  if (!read.has(name)) {
    const found = new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      script.src = `${encodeURIComponent(name)}.js`;
      script.onerror = () => reject(new Error(`${name}.js can't be read: it belongs beside this page.`));
      script.onload = () => script.remove();
      document.head.append(script);
    });
    read.set(name, found);
    found.catch(() => read.delete(name));
    // Only the last few: a scene takes some megabytes of memory.
    for (const old of [...read.keys()].slice(0, -KEPT)) read.delete(old);
  }
  return read.get(name);
}

function toBytes(text) {
  const bytes = new Uint8Array(Math.floor(text.length * 7 / 8));
  for (let i = 0, at = 0, held = 0, bits = 0; i < text.length; i++) {
    held = (held << 7 | text.charCodeAt(i) & 127) & 0x7fff;
    bits += 7;
    if (bits >= 8) bytes[at++] = held >> (bits -= 8);
  }
  return bytes;
}

async function inflate(bytes) {
  if (!self.DecompressionStream) throw new Error("This browser can't inflate data (DecompressionStream); any of the last years can.");
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Undo `pack` of packing.py, with the same integers: guess each value from its neighbours and add what was left.
function unpack(header, buffer, width, height) {
  const { levels, order, own, other, margin, bits, steps } = REPORT.code, { pictures, channels, bins, counts } = header;
  const stride = width + 2 * margin, size = stride * (height + 2 * margin), corner = margin * stride + margin;
  const places = channels === order.length ? order : [...Array(channels).keys()];
  const all = new Int16Array(pictures * channels * size); // planes behind each other, each with its margin
  const start = (picture, channel) => (picture * channels + channel) * size;
  const planes = [];
  for (let p = 0; p < pictures; p++) places.forEach((channel, place) => {
    const from = [[start(p, channel), own], ...places.slice(0, place).map((before) => [start(p, before), other])];
    for (let q = 0; q < p; q++) from.push([start(q, channel), other]);
    const taps = from.flatMap(([base, moves]) => moves.map(([up, left]) => base - up * stride - left));
    planes.push({ picture: p, base: start(p, channel), taps: Int32Array.from(taps) });
  });
  const weights = new Int16Array(buffer, 0, bins * planes.reduce((sum, one) => sum + one.taps.length, 0));
  const low = new Uint8Array(buffer, weights.byteLength), next = [];
  let high = 0;
  for (const count of counts) { next.push(high); high += count; }
  const context = new Uint8Array(steps.at(-1) + 1);
  for (let near = 0; near < context.length; near++) while (steps[context[near] + 1] <= near) context[near]++;
  const guide = new Uint8Array(width * height), left = new Int32Array(size), half = 1 << bits - 1;
  let first = 0;
  planes.forEach(({ picture, base, taps }, index) => {
    const n = taps.length;
    left.fill(0);
    for (let y = 0, pixel = 0; y < height; y++) for (let x = 0, at = corner + y * stride; x < width; x++, at++, pixel++) {
      const from = first + (picture ? guide[pixel] * n : 0);
      let sum = half;
      for (let k = 0; k < n; k++) sum += weights[from + k] * all[at + taps[k]];
      const near = 2 * left[at - 1] + 2 * left[at - stride] + left[at - stride - 1] + left[at - stride + 1];
      const value = low[next[context[near < context.length ? near : context.length - 1]]++] | low[high++] << 8;
      const rest = value & 1 ? -(value + 1 >> 1) : value >> 1;
      left[at] = Math.abs(rest);
      all[base + at] = (sum >> bits) + rest;
    }
    first += bins * n;
    if (index === channels - 1) for (let pixel = 0; pixel < guide.length; pixel++) {
      const at = corner + Math.floor(pixel / width) * stride + pixel % width;
      let bright = 0;
      for (let c = 0; c < channels; c++) bright += all[start(0, c) + at];
      guide[pixel] = Math.min(Math.floor(bright * bins / (channels * (levels + 1))), bins - 1);
    }
  });
  return Array.from({ length: pictures }, (_, p) => {
    const values = new Uint16Array(width * height * channels);
    for (let y = 0, to = 0; y < height; y++) for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++)
      values[to++] = all[start(p, c) + corner + y * stride + x];
    return values;
  });
}

async function pixelsOf(webp, width, height) {
  const canvas = new OffscreenCanvas(width, height), pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(await createImageBitmap(new Blob([webp], { type: "image/webp" })), 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => data[(i / 3 | 0) * 4 + i % 3]);
}

// A picture is its values, three a pixel, and the radiance that each value stands for.
async function unpackScene(name, header, bodies) {
  const { width, height, white, step } = header, { levels, highest } = REPORT.code, mu = REPORT.mu;
  const radiance = Float32Array.from({ length: highest + 1 }, (_, code) => Math.expm1(code / levels * Math.log1p(mu)) / mu);
  const unpacked = unpack(header.radiance, await inflate(toBytes(bodies.radiance)), width, height);
  const pictures = new Map(header.radiance.names.map((key, i) => [key, { values: unpacked[i], radiance, codes: true }]));
  for (const [key, time] of Object.entries(header.frames)) {
    const light = Float32Array.from({ length: 256 }, (_, code) => (code / 255) ** 2.2 / time);
    pictures.set(key, { values: await pixelsOf(toBytes(bodies[key]), width, height), radiance: light });
  }
  const seen = new Map();
  if (header.visibility) {
    const maps = unpack(header.visibility, await inflate(toBytes(bodies.visibility)), width, height);
    header.visibility.names.forEach((key, i) => seen.set(key, maps[i]));
  }
  const times = { reference: header.reference, ...header.frames };
  return { name, width, height, white, step, pictures, seen, times };
}

// ---- Tone curves: radiance to 8 bits. White is the same for all pictures of a scene.

const clip = (x) => Math.min(Math.max(x, 0), 1);
const toSrgb = (x) => 255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);
const toMu = (x) => 255 * Math.log1p(REPORT.mu * x) / Math.log1p(REPORT.mu);
const SRGB = Uint8ClampedArray.from({ length: 4097 }, (_, i) => toSrgb(i / 4096));

function toned(picture) {
  const gain = 2 ** state.ev / scene.white, count = scene.width * scene.height, image = new ImageData(scene.width, scene.height);
  const { values, radiance } = picture, out = image.data, curve = state.tone === "mu" ? toMu : toSrgb;
  const shown = Uint8ClampedArray.from(radiance, (light) => curve(clip(light * gain)));
  const local = state.tone === "local" ? lifts(picture) : null;
  for (let p = 0, from = 0, to = 0; p < count; p++, from += 3, to += 4) {
    if (local) {
      const lift = local[p] * gain, red = radiance[values[from]] * lift, green = radiance[values[from + 1]] * lift, blue = radiance[values[from + 2]] * lift;
      const room = 4096 / Math.max(red, green, blue, 1); // what is too bright keeps its hue
      out[to] = SRGB[red * room | 0];
      out[to + 1] = SRGB[green * room | 0];
      out[to + 2] = SRGB[blue * room | 0];
    } else for (let c = 0; c < 3; c++) out[to + c] = shown[values[from + c]];
    out[to + 3] = 255;
  }
  return image;
}

// The gain of each pixel that lifts dark areas: three fifths of what lies between its base layer and a stop below white,
// so that bright areas keep some room. The base is a guided filter's (He et al. 2010) of log luminance, which keeps
// edges, so there are no halos. Each picture has its own: by the truth's, ghosts would wear the shapes of others.
function lifts(picture) {
  if (picture.lifts) return picture.lifts;
  const { width, height } = scene, { values, radiance } = picture;
  const light = Float32Array.from({ length: width * height }, (_, p) => Math.log2(1e-4 +
    0.2126 * radiance[values[3 * p]] + 0.7152 * radiance[values[3 * p + 1]] + 0.0722 * radiance[values[3 * p + 2]]));
  const mean = (plane) => box(plane, width, height, Math.round(width / 24)), flat = 0.3;
  const middle = mean(light), square = mean(light.map((v) => v * v));
  const slope = middle.map((m, p) => { const spread = Math.max(square[p] - m * m, 0); return spread / (spread + flat); });
  const level = mean(middle.map((m, p) => m - slope[p] * m)), slopes = mean(slope), top = Math.log2(scene.white) - 1;
  return picture.lifts = light.map((v, p) => 2 ** (0.6 * Math.max(top - slopes[p] * v - level[p], 0)));
}

function box(plane, width, height, radius) {
  const out = new Float32Array(plane.length);
  const run = (from, to, start, stride, count) => {
    let sum = 0, n = 0;
    for (let i = -radius; i < count; i++) {
      if (i + radius < count) { sum += from[start + (i + radius) * stride]; n++; }
      if (i - radius > 0) { sum -= from[start + (i - radius - 1) * stride]; n--; }
      if (i >= 0) to[start + i * stride] = sum / n;
    }
  };
  for (let y = 0; y < height; y++) run(plane, out, y * width, 1, width);
  const across = out.slice();
  for (let x = 0; x < width; x++) run(across, out, x, width, height);
  return out;
}

// ---- Maps over a picture.

const RAMP = (() => {
  const stops = REPORT.colours.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const at = i / 255 * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
    return stops[k].map((v, c) => v + (stops[k + 1][c] - v) * (at - k));
  });
})();

function errors(picture) {
  const truth = scene.pictures.get("truth"), out = new Float32Array(scene.width * scene.height);
  for (let p = 0; p < out.length; p++) {
    for (let c = 3 * p; c < 3 * p + 3; c++) out[p] += Math.abs(picture.values[c] - truth.values[c]);
    out[p] /= 3 * REPORT.code.levels;
  }
  return out;
}

// Map of a picture as shares of what the legend ends at, or null; `why` says why there is none.
function mapOf(key) {
  const picture = scene.pictures.get(key);
  if (state.map === "none" || key === "truth" || !scene.pictures.has("truth")) return null;
  if (state.map === "seen") return scene.seen.has(key) ? Float32Array.from(scene.seen.get(key), (v) => v / REPORT.shades) : null;
  return picture.codes ? errors(picture).map((v) => Math.min(v / state.limit, 1)) : null;
}

function why(key) {
  if (state.map === "none" || key === "truth" || mapOf(key)) return "";
  return scene.pictures.has("truth") ? "no map of this one" : "no map without truth";
}

const drawn = new Map(); // picture -> what it looks like, until a control changes that
function look(key) {
  const kept = JSON.stringify([scene.name, key, state.ev, state.tone, state.map, state.strength, state.limit]);
  if (!drawn.has(kept)) {
    const image = toned(scene.pictures.get(key)), map = mapOf(key), share = state.strength / 100;
    if (map) for (let p = 0; p < map.length; p++) for (let c = 0; c < 3; c++) {
      const at = 4 * p + c;
      image.data[at] = image.data[at] * (1 - share) + RAMP[Math.round(map[p] * 255)][c] * share;
    }
    const canvas = new OffscreenCanvas(scene.width, scene.height);
    canvas.getContext("2d").putImageData(image, 0, 0);
    if (drawn.size > 11) drawn.delete(drawn.keys().next().value);
    drawn.set(kept, canvas);
  }
  return drawn.get(kept);
}

// ---- Drawing: every panel shows the same part of its picture.

const panels = [0, 1, 2].map((i) => $(`panel-${i}`));

function view(panel) {
  const box = panel.getBoundingClientRect(), dots = self.devicePixelRatio || 1;
  const scale = Math.min(box.width / scene.width, box.height / scene.height) * state.zoom;
  // The middle stays where the picture covers the panel, and is the picture's where it doesn't.
  const keep = (middle, size, room) => { const rim = Math.min(room / scale / size / 2, 0.5); return Math.min(Math.max(middle, rim), 1 - rim); };
  const x = keep(state.x, scene.width, box.width), y = keep(state.y, scene.height, box.height);
  return { width: box.width, height: box.height, dots, scale, x, y, left: box.width / 2 - x * scene.width * scale, top: box.height / 2 - y * scene.height * scale };
}

function paint(panel, keys) {
  const canvas = panel.firstElementChild, v = view(panel), pen = canvas.getContext("2d");
  canvas.width = Math.round(v.width * v.dots);
  canvas.height = Math.round(v.height * v.dots);
  pen.setTransform(v.dots, 0, 0, v.dots, 0, 0);
  pen.imageSmoothingEnabled = v.scale < 4;
  pen.imageSmoothingQuality = "high";
  keys.forEach((key, i) => {
    pen.save();
    pen.beginPath();
    pen.rect(i ? state.split * v.width : 0, 0, v.width, v.height);
    pen.clip();
    pen.drawImage(look(key), v.left, v.top, scene.width * v.scale, scene.height * v.scale);
    pen.restore();
  });
}

function draw() {
  if (!scene) return;
  const side = state.mode === "side", third = side && state.third && scene.pictures.has("truth");
  panels[1].hidden = !side;
  panels[2].hidden = !third;
  $("stage").dataset.mode = state.mode;
  $("stage").style.setProperty("--aspect", scene.width / scene.height);
  const shown = side ? [[state.a], [state.b], ["truth"]] : state.mode === "slider" ? [[state.a, state.b]] : [[flipped ? state.b : state.a]];
  panels.forEach((panel, i) => {
    if (panel.hidden) return;
    paint(panel, shown[i]);
    panel.classList.toggle("large", state.zoom > 1);
    const names = panel.querySelectorAll(".name");
    const letters = side ? [["A", "B", ""][i]] : state.mode === "slider" ? ["A", "B"] : [flipped ? "B" : "A"];
    names.forEach((name, k) => name.replaceChildren(...(shown[i][k] ? label(letters[k], shown[i][k]) : [])));
  });
  $("divider").style.left = `${100 * state.split}%`;
  $("divider").setAttribute("aria-valuenow", Math.round(100 * state.split));
}

function label(letter, key) {
  const box = document.createElement("span"), reason = why(key);
  box.className = letter === "B" ? "letter second" : "letter";
  box.textContent = letter;
  return [...(letter ? [box] : []), titleOf(key) + (reason ? `: ${reason}` : "")];
}

let asked = 0;
function redraw() {
  if (!asked) asked = requestAnimationFrame(() => { asked = 0; draw(); });
}

// ---- Controls and the address.

const nameOf = (key) => FIXED[key] ?? REPORT.labels[key] ?? key.replace("frame-", "frame ");
const titleOf = (key) => {
  const named = nameOf(key);
  return scene?.times[key] ? `${named}, t\u00a0=\u00a0${+scene.times[key].toPrecision(3)}` : named;
};
const listed = () => REPORT.scenes.find((one) => one.name === state.scene);
// Methods from best to worst make a list that can be stepped through; inputs and truth stand above.
function keys() {
  const { scores } = listed(), by = REPORT.metrics[0]?.key;
  const methods = Object.keys(REPORT.labels).filter((key) => scene.pictures.has(key));
  methods.sort((a, b) => (scores[b]?.[by] ?? -Infinity) - (scores[a]?.[by] ?? -Infinity));
  const inputs = Object.keys(scene.times).sort((a, b) => scene.times[a] - scene.times[b]);
  return { inputs: [...(scene.pictures.has("truth") ? ["truth"] : []), ...inputs], methods };
}

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1)), wanted = { ...START };
  const number = (name, low, high) => { const v = parseFloat(found.get(name)); if (v >= low && v <= high) wanted[name] = v; };
  const word = (name, words) => { if (words.includes(found.get(name))) wanted[name] = found.get(name); };
  word("mode", MODES); word("tone", TONES); word("map", MAPS);
  number("zoom", 1, LARGEST); number("x", 0, 1); number("y", 0, 1); number("ev", -6, 10); number("split", 0, 1);
  number("strength", 0, 100); number("limit", LIMITS[0], LIMITS.at(-1)); number("third", 0, 1);
  const named = REPORT.scenes.some((one) => one.name === found.get("scene")) ? found.get("scene") : state.scene;
  Object.assign(state, wanted, { scene: named, a: found.get("a") ?? state.a, b: found.get("b") ?? state.b });
  open();
}

let writing = 0;
function writeAddress() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const short = (v) => typeof v === "number" ? +v.toFixed(4) : v;
    const said = { scene: state.scene, a: state.a, b: state.b, mode: state.mode, zoom: short(state.zoom) };
    for (const name of Object.keys(START)) if (state[name] !== START[name]) said[name] = short(state[name]);
    history.replaceState(null, "", `#${new URLSearchParams(said)}`);
    writing = 0;
  }, 300); // Safari refuses more than a hundred changes in half a minute
}

function set(changes) {
  const other = "scene" in changes && changes.scene !== state.scene;
  Object.assign(state, changes);
  if (other) return open();
  show();
}

async function open() {
  const name = state.scene;
  $("said").textContent = scene?.name === name ? "" : "Loading the scene…";
  try {
    const found = await load(name);
    if (name !== state.scene) return; // another was chosen meanwhile
    scene = found;
    $("said").textContent = "";
    settle();
    show();
  } catch (error) {
    $("said").textContent = error.message;
  }
}

// Pictures that this scene has: those of the last one where it can be.
function settle() {
  const { inputs, methods } = keys(), every = [...inputs, ...methods];
  const first = methods[0] ?? every[0];
  if (!every.includes(state.b)) state.b = first;
  if (!every.includes(state.a)) state.a = [...(state.b === "reference" ? [] : ["reference"]), ...every].find((key) => key !== state.b && every.includes(key)) ?? first;
}

function show() {
  const { inputs, methods } = keys();
  $("scene").value = state.scene;
  for (const letter of ["a", "b"]) {
    const group = (title, members) => { const box = Object.assign(document.createElement("optgroup"), { label: title });
      box.append(...members.map((key) => new Option(nameOf(key), key))); return box; };
    $(letter).replaceChildren(group("Input and truth", inputs), group("Methods, best first", methods));
    $(letter).value = state[letter];
  }
  for (const group of ["mode", "tone", "map"])
    document.querySelectorAll(`input[name="${group}"]`).forEach((input) => { input.checked = input.value === state[group]; });
  const truth = scene.pictures.has("truth");
  document.querySelectorAll('input[name="map"]').forEach((input) => {
    input.disabled = input.value === "error" && !truth || input.value === "seen" && !scene.seen.size;
  });
  $("ev").value = state.ev;
  $("ev-said").textContent = `${state.ev > 0 ? "+" : state.ev < 0 ? "−" : ""}${Math.abs(state.ev)} EV`;
  $("strength").value = state.strength;
  $("strength-said").textContent = `${state.strength} %`;
  $("limit").value = LIMITS.findLastIndex((one) => one <= state.limit);
  $("limit-said").textContent = state.limit;
  $("size").textContent = `${+state.zoom.toFixed(state.zoom < 10 ? 1 : 0)}×`;
  $("third").checked = Boolean(state.third);
  const hide = (chosen, hidden) => document.querySelectorAll(chosen).forEach((one) => { one.hidden = hidden; });
  hide(".only-flicker", state.mode !== "flicker");
  hide(".only-side", state.mode !== "side" || !truth);
  hide(".only-map, #legend", state.map === "none" || !truth);
  hide(".only-error", state.map !== "error" || !truth);
  $("legend").style.setProperty("--ramp", `linear-gradient(to right, ${REPORT.colours.join(", ")})`);
  $("legend-high").textContent = state.map === "error" ? `|ΔT| ≥ ${state.limit}` : "1: sure to be seen";
  if (state.mode !== "flicker") automatic(false);
  table(inputs, methods);
  draw();
  writeAddress();
}

function table(inputs, methods) {
  const { scores, dataset, split } = listed(), metrics = REPORT.metrics, body = document.createElement("tbody");
  const element = (name, text, options = {}) => Object.assign(document.createElement(name), { textContent: text, ...options });
  const value = (key, metric) => scores[key]?.[metric];
  const best = Object.fromEntries(metrics.map(({ key: metric }) => [metric, Math.max(...methods.map((key) => value(key, metric) ?? -Infinity))]));
  for (const key of [...methods, ...inputs]) {
    const row = document.createElement("tr"), head = element("th", "", { scope: "row" }), picks = element("span", "", { className: "picks" });
    for (const letter of ["a", "b"]) {
      const pick = element("button", letter.toUpperCase(), { type: "button", title: `Show as ${letter.toUpperCase()}`, onclick: () => set({ [letter]: key }) });
      pick.setAttribute("aria-pressed", state[letter] === key);
      pick.setAttribute("aria-label", `${titleOf(key)} as ${letter.toUpperCase()}`);
      pick.dataset.key = `${letter}:${key}`;
      picks.append(pick);
    }
    const named = element("span", "", { className: "method" });
    named.append(picks, element("span", titleOf(key)));
    head.append(named);
    row.className = state.a === key || state.b === key ? "chosen" : "";
    row.append(head, ...metrics.map(({ key: metric, digits }) => {
      const found = value(key, metric);
      return element("td", found === undefined ? (inputs.includes(key) ? "" : "–") : found.toFixed(digits), { className: found === best[metric] ? "top" : "" });
    }));
    body.append(row);
  }
  const head = document.createElement("thead"), titles = document.createElement("tr"), foot = document.createElement("tfoot");
  const titled = ({ label, unit }) => {
    const cell = element("th", label.replaceAll("-", "\u2011"), { scope: "col" }); // breaks nowhere else
    if (unit !== "1") cell.append(element("span", unit, { className: "unit" }));
    return cell;
  };
  titles.append(element("th", "show as", { scope: "col" }), ...metrics.map(titled));
  head.append(titles);
  if (metrics.length && metrics.every(({ key: metric }) => value(state.a, metric) !== undefined && value(state.b, metric) !== undefined) && state.a !== state.b) {
    const row = document.createElement("tr");
    row.append(element("th", "B − A", { scope: "row" }), ...metrics.map(({ key: metric, digits }) => {
      const gain = value(state.b, metric) - value(state.a, metric);
      return element("td", `${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(digits)}`);
    }));
    foot.append(row);
  }
  const held = document.activeElement?.dataset?.key;
  $("scores").replaceChildren(head, body, ...(foot.childElementCount ? [foot] : []));
  if (held) $("scores").querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
  $("scores-of").textContent = `${state.scene} (${dataset}, ${split})`;
  const small = scene.step > 1 ? ` Pictures are shown at 1/${scene.step} of their size.` : "";
  $("note").textContent = (metrics.length && methods.some((key) => scores[key] && Object.keys(scores[key]).length)
    ? "Of the whole picture, as in the tables; rounding for this page doesn't enter. Bold: best of these." : "This scene has no truth, so no scores.") + small;
}

function step(list, now, by) {
  return list[(list.indexOf(now) + by + list.length) % list.length];
}

// Larger or smaller around a point of a panel, by default its middle: what lies there stays there.
function zoomTo(zoom, panel = panels[0], px = null, py = null) {
  const before = view(panel), x = px ?? before.width / 2, y = py ?? before.height / 2;
  const across = (x - before.left) / before.scale / scene.width, down = (y - before.top) / before.scale / scene.height;
  state.zoom = Math.min(Math.max(zoom, 1), LARGEST);
  const { scale } = view(panel);
  state.x = clip(across - (x - before.width / 2) / scale / scene.width);
  state.y = clip(down - (y - before.height / 2) / scale / scene.height);
  if (state.zoom === 1) state.x = state.y = 0.5;
  moved();
}

function pan(dx, dy, panel = panels[0]) {
  const { scale, x, y } = view(panel);
  state.x = clip(x - dx / scale / scene.width);
  state.y = clip(y - dy / scale / scene.height);
  moved();
}

function moved() {
  $("size").textContent = `${+state.zoom.toFixed(state.zoom < 10 ? 1 : 0)}×`;
  redraw();
  writeAddress();
}

function flip() {
  if (state.mode !== "flicker") return set({ mode: "flicker" });
  flipped = !flipped;
  draw();
}

function automatic(on) {
  clearInterval(timer);
  // Slower than three a second, which can harm people who have epilepsy.
  timer = on ? setInterval(flip, 600) : 0;
  $("auto").checked = Boolean(timer);
}

const brighter = (by) => set({ ev: Math.min(Math.max(state.ev + by, -6), 10) });

for (const [i, one] of REPORT.scenes.entries()) $("scene").append(new Option(`${i + 1}. ${one.name}${one.split === "test" ? "" : ` (${one.split})`}`, one.name));
const names = REPORT.scenes.map((one) => one.name);
$("scene").onchange = () => set({ scene: $("scene").value });
$("earlier").onclick = () => set({ scene: step(names, state.scene, -1) });
$("later").onclick = () => set({ scene: step(names, state.scene, 1) });
for (const letter of ["a", "b"]) $(letter).onchange = () => set({ [letter]: $(letter).value });
$("swap").onclick = () => set({ a: state.b, b: state.a });
for (const group of ["mode", "tone", "map"]) $(group).onchange = (event) => set({ [group]: event.target.value });
$("ev").oninput = () => set({ ev: +$("ev").value });
$("strength").oninput = () => set({ strength: +$("strength").value });
$("limit").oninput = () => set({ limit: LIMITS[$("limit").value] });
$("third").onchange = () => set({ third: +$("third").checked });
$("in").onclick = () => zoomTo(state.zoom * 1.5);
$("out").onclick = () => zoomTo(state.zoom / 1.5);
$("fit").onclick = () => zoomTo(1);
$("flip").onclick = flip;
$("auto").onchange = () => automatic($("auto").checked);
$("ask").onclick = () => $("help").showModal();

const PRESSED = {
  ArrowLeft: () => $("earlier").click(), ArrowRight: () => $("later").click(),
  " ": flip, x: () => $("swap").click(),
  1: () => set({ mode: "slider" }), 2: () => set({ mode: "flicker" }), 3: () => set({ mode: "side" }),
  "+": () => zoomTo(state.zoom * 1.5), "=": () => zoomTo(state.zoom * 1.5), "-": () => zoomTo(state.zoom / 1.5), 0: () => zoomTo(1),
  w: () => pan(0, 60), s: () => pan(0, -60), a: () => pan(60, 0), d: () => pan(-60, 0),
  "[": () => brighter(-0.5), "]": () => brighter(0.5),
  t: () => set({ tone: step(TONES, state.tone, 1) }),
  e: () => set({ map: state.map === "error" ? "none" : "error" }), v: () => set({ map: state.map === "seen" ? "none" : "seen" }),
  "?": () => $("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  const { target, key } = event, typed = target.closest("select, input[type=range], dialog[open]");
  if (!scene || event.ctrlKey || event.metaKey || event.altKey || typed) return;
  if (key.startsWith("Arrow") && target.closest("input[type=radio], #divider")) return; // these have arrows of their own
  if (key === " " && target.closest("button, input, summary, a")) return;
  if (key === "ArrowUp" || key === "ArrowDown") {
    const { inputs, methods } = keys(), letter = event.shiftKey ? "a" : "b";
    set({ [letter]: step([...inputs, ...methods], state[letter], key === "ArrowUp" ? -1 : 1) });
  } else if (PRESSED[key]) PRESSED[key]();
  else return;
  event.preventDefault();
});
$("divider").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key], end = { Home: 0, End: 1 }[event.key];
  if (by === undefined && end === undefined) return;
  state.split = end ?? clip(state.split + by);
  redraw();
  writeAddress();
  event.preventDefault();
  event.stopPropagation();
});

// Mouse, pen and fingers: one moves the picture or the line, two enlarge.
const fingers = new Map();
let grip = "", apart = 0;
for (const panel of panels) {
  panel.addEventListener("wheel", (event) => {
    if (!scene) return;
    event.preventDefault();
    const box = panel.getBoundingClientRect();
    zoomTo(state.zoom * 2 ** (-event.deltaY / (event.deltaMode ? 8 : 300)), panel, event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  panel.addEventListener("pointerdown", (event) => {
    if (!scene || event.button) return;
    panel.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    apart = distance();
    grip = event.target === $("divider") || state.mode === "slider" && state.zoom === 1 ? "divider" : "picture";
    if (grip === "divider" && fingers.size === 1) slide(event);
  });
  panel.addEventListener("pointermove", (event) => {
    if (!scene) return;
    if (!fingers.has(event.pointerId)) return tell(event, panel);
    const before = fingers.get(event.pointerId);
    fingers.set(event.pointerId, event);
    if (fingers.size > 1) {
      const box = panel.getBoundingClientRect(), now = distance(), [first, second] = [...fingers.values()];
      if (apart) zoomTo(state.zoom * now / apart, panel, (first.clientX + second.clientX) / 2 - box.left, (first.clientY + second.clientY) / 2 - box.top);
      apart = now;
      grip = "picture";
    } else if (grip === "divider") slide(event);
    else pan(event.clientX - before.clientX, event.clientY - before.clientY, panel);
  });
  for (const ended of ["pointerup", "pointercancel"]) panel.addEventListener(ended, (event) => fingers.delete(event.pointerId));
  panel.addEventListener("pointerleave", () => { $("pixel").textContent = HINT; });
}

function distance() {
  const [first, second] = [...fingers.values()];
  return second ? Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY) : 0;
}

function slide(event) {
  const box = panels[0].getBoundingClientRect();
  state.split = clip((event.clientX - box.left) / box.width);
  redraw();
  writeAddress();
}

// What the pictures hold under the pointer.
function tell(event, panel) {
  const box = panel.getBoundingClientRect(), v = view(panel);
  const x = Math.floor((event.clientX - box.left - v.left) / v.scale), y = Math.floor((event.clientY - box.top - v.top) / v.scale);
  if (x < 0 || y < 0 || x >= scene.width || y >= scene.height) return;
  const said = [["A", state.a], ["B", state.b], ["truth", "truth"]].filter(([, key]) => scene.pictures.has(key)).map(([name, key]) => {
    const { values, radiance } = scene.pictures.get(key), from = 3 * (y * scene.width + x);
    return `${name} ${[0, 1, 2].map((c) => radiance[values[from + c]].toFixed(4)).join(" ")}`;
  });
  $("pixel").textContent = `Pixel ${x}, ${y}: relative radiance (RGB) ${said.join("; ")}`;
}

$("pixel").textContent = HINT;
new ResizeObserver(redraw).observe($("stage"));
addEventListener("hashchange", readAddress);
readAddress();
