// Every text against the first opaque colour behind it, by WCAG 2.2: those below 4.5, or 3 where large.
const paint = doc.createElement("canvas").getContext("2d", { willReadFrequently: true });
const plain = (colour) => {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = colour;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data];
};
const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = plain(frame.getComputedStyle(at).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255];
};
const poor = new Set();
const texts = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
for (let node = texts.nextNode(); node; node = texts.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || !element.getClientRects().length) continue;
  const style = frame.getComputedStyle(element), size = parseFloat(style.fontSize);
  const [dark, light] = [plain(style.color), behind(element)].map(luminance).sort((a, b) => a - b);
  const ratio = (light + 0.05) / (dark + 0.05);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio >= (large ? 3 : 4.5)) continue;
  poor.add(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}, ${node.data.trim().slice(0, 30)}`);
}
return [...poor];
