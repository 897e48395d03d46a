// Checks every dashboard against Grafana's own types, and that a wrong dashboard is reported.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, '..', '..', 'deploy', 'grafana', 'dashboards');
const options = {
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  types: [],
};

// Returns the type errors of all dashboards, one line each. A dashboard is named by its file.
function typeErrors(dashboards) {
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
const errors = typeErrors(dashboards);
console.log([...errors, `${files.length} dashboards checked, ${errors.length} errors`].join('\n'));

const mutants = {
  'a misspelt key': (json) => json.replace('"gridPos"', '"gridPosition"'),
  'a wrong type': (json) => json.replace('"refresh": "30s"', '"refresh": 30'),
  'an unknown colour mode': (json) => json.replace('"palette-classic"', '"palette-clasic"'),
};
const mutated = Object.entries(mutants).map(([name, mutate]) => [name, mutate(dashboards['pearl-outbound-detail.json'])]);
const caught = typeErrors(Object.fromEntries(mutated)).map((each) => each.split(':')[0]);
const missed = Object.keys(mutants).filter((name) => !caught.includes(name));
missed.forEach((name) => console.log(`${name} was not reported`));

process.exitCode = files.length === 3 && errors.length + missed.length === 0 ? 0 : 1;
