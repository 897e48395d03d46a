// Bundles page.tsx with its dependencies into page.js and page.css, in the folder given as argument.

import { build } from 'esbuild';

await build({
  entryPoints: [new URL('page.tsx', import.meta.url).pathname],
  outdir: process.argv[2],
  bundle: true,
  minify: true,
  jsx: 'automatic',
  alias: { 'react-custom-scrollbars-2': new URL('scrollbars.ts', import.meta.url).pathname },
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.png': 'dataurl', '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  logLevel: 'error',
});
