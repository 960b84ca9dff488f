// Theme and density live in cookies, so that the server renders the page as it will look.
const CHOICES = { theme: ["dark", "light", "system"], density: ["dense", "comfortable"] };
const YEAR_SECONDS = 31536000;

function next(name) {
  const root = document.documentElement;
  const values = CHOICES[name];
  const value = values[(values.indexOf(root.dataset[name]) + 1) % values.length];
  root.dataset[name] = value;
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
  document.dispatchEvent(new CustomEvent("console:theme"));
  return value;
}

export function startPreferences() {
  for (const name of Object.keys(CHOICES)) {
    for (const button of document.querySelectorAll(`[data-action="${name}"]`)) {
      button.addEventListener("click", () => {
        button.title = `${name[0].toUpperCase()}${name.slice(1)}: ${next(name)}`;
      });
    }
  }
}
