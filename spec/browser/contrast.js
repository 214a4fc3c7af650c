// Runs in the page: the texts in sight whose contrast is below what WCAG AA asks for.
module.exports = () => {
  const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const [red, green, blue] = channels(color).map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const isOpaque = (color) => color.startsWith("rgb(");
  const backgroundOf = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const { backgroundColor } = getComputedStyle(one);
      if (isOpaque(backgroundColor)) {
        return backgroundColor;
      }
    }
    return "rgb(255, 255, 255)";
  };
  const hasText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  const isShown = (element) =>
    element.checkVisibility() && !element.closest(":disabled, .removed, .avatar");
  return [...document.body.querySelectorAll("*")]
    .filter((element) => hasText(element) && isShown(element))
    .map((element) => [element, contrast(getComputedStyle(element).color, backgroundOf(element))])
    .filter(([, ratio]) => ratio < 4.5)
    .map(([element, ratio]) => `${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
};
