// Table scrolls with a CommonJS package whose default export esbuild hides from an .mjs importer.

export { default, Scrollbars } from './node_modules/react-custom-scrollbars-2/lib/index.js';
