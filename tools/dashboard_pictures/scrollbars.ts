// Grafana's Table imports this CommonJS package from an .mjs file, where esbuild hides the default export.

export { default, Scrollbars } from './node_modules/react-custom-scrollbars-2/lib/index.js';
