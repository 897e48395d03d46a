// Checks every dashboard against Grafana's own types, and that a wrong one would be noticed.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, '..', 'dashboards');
const options = {
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  types: [],
};

// The complaints about each dashboard, by its file.
function complaints(dashboards) {
  const sources = new Map(
    Object.entries(dashboards).map(([file, json]) => [
      path.join(here, `${file}.ts`),
      `import type { Model } from './dashboard';\nexport const dashboard: Model =\n${json};\n`,
    ])
  );
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  const program = ts.createProgram([...sources.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file ? file.getLineAndCharacterOfPosition(start).line - 1 : 0;
    const name = file ? path.basename(file.fileName, '.ts') : '';
    return `${name}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n  ')}`;
  });
}

const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const dashboards = Object.fromEntries(files.map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]));
const found = complaints(dashboards);
console.log([...found, `${files.length} dashboards checked, ${found.length} complaints`].join('\n'));

const wrong = {
  'a misspelt key': (json) => json.replace('"gridPos"', '"gridPosition"'),
  'a wrong type': (json) => json.replace('"refresh": "30s"', '"refresh": 30'),
  'an unknown colour mode': (json) => json.replace('"palette-classic"', '"palette-clasic"'),
};
const broken = Object.entries(wrong).map(([name, spoil]) => [name, spoil(dashboards['pearl-outbound-detail.json'])]);
const noticed = complaints(Object.fromEntries(broken)).map((each) => each.split(':')[0]);
const missed = Object.keys(wrong).filter((name) => !noticed.includes(name));
missed.forEach((name) => console.log(`${name} was not noticed`));

process.exitCode = files.length === 3 && found.length + missed.length === 0 ? 0 : 1;
