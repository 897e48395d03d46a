// Turns Prometheus' answers into Grafana's data frames, as its Prometheus data source does,
// and applies the panel's field options and transformations.

import {
  applyFieldOverrides,
  DataFrame,
  Field,
  FieldConfigOptionsRegistry,
  FieldType,
  FieldConfigSource,
  GrafanaTheme2,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

export interface Target {
  refId: string;
  legendFormat?: string;
  format?: string;
  instant?: boolean;
}

export interface Answer {
  target: Target;
  step: number;
  result: Array<{
    metric: Record<string, string>;
    value?: [number, string];
    values?: Array<[number, string]>;
  }>;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: FieldConfigSource;
  options?: any;
  transformations?: any[];
  answers: Answer[];
}

export async function framesOf(panel: Panel, theme: GrafanaTheme2): Promise<DataFrame[]> {
  const raw = panel.answers.flatMap((answer) => framesOfAnswer(answer, panel.answers.length));
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], raw));
  return applyFieldOverrides({
    data,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registryOf(panel.fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

function framesOfAnswer(answer: Answer, answers: number): DataFrame[] {
  if (answer.target.format === 'table') {
    return [tableOf(answer, answers)];
  }
  return answer.result.map((series) => {
    const points = series.values ?? [series.value!];
    const legend = answer.target.legendFormat?.replace(/{{(\w+)}}/g, (_, label) => series.metric[label] ?? '');
    return frame(answer.target.refId, [
      field('Time', FieldType.time, points.map(([at]) => at * 1000), { interval: answer.step * 1000 }),
      {
        ...field('Value', FieldType.number, points.map(([, value]) => Number(value)), { displayNameFromDS: legend }),
        labels: series.metric,
      },
    ]);
  });
}

function tableOf(answer: Answer, answers: number): DataFrame {
  const labels = [...new Set(answer.result.flatMap((series) => Object.keys(series.metric)))].sort();
  const { refId } = answer.target;
  return frame(refId, [
    field('Time', FieldType.time, answer.result.map((series) => series.value![0] * 1000)),
    ...labels.map((label) => field(label, FieldType.string, answer.result.map((series) => series.metric[label]))),
    field(
      answers > 1 ? `Value #${refId}` : 'Value',
      FieldType.number,
      answer.result.map((series) => Number(series.value![1]))
    ),
  ]);
}

function frame(refId: string, fields: Field[]): DataFrame {
  return { refId, fields, length: fields[0].values.length };
}

function field(name: string, type: FieldType, values: unknown[], config: object = {}): Field {
  return { name, type, values, config };
}

export function registerTransformers() {
  const byId = new Map(Object.values(standardTransformers).map((each: any) => [each.id, each]));
  standardTransformersRegistry.setInit(() =>
    [...byId.values()].map((each) => ({
      id: each.id,
      name: each.name,
      transformation: () => Promise.resolve(each),
      editor: () => null,
      imageDark: '',
      imageLight: '',
    }))
  );
}

// Grafana builds this registry in its core, which is not published as a package.
// Here it holds only what the panel uses.
function registryOf(source: FieldConfigSource): FieldConfigOptionsRegistry {
  const standard = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links', 'color'];
  const overridden = source.overrides.flatMap((each) => each.properties.map((property) => property.id));
  const custom = [
    ...Object.keys((source.defaults.custom as object) ?? {}),
    ...overridden.filter((id) => id.startsWith('custom.')).map((id) => id.slice('custom.'.length)),
  ];
  const item = (path: string, isCustom: boolean) => ({
    id: isCustom ? `custom.${path}` : path,
    path,
    name: path,
    isCustom,
    editor: () => null,
    override: () => null,
    process: (value: unknown) => value,
    shouldApply: () => true,
    settings: {},
  });
  return new FieldConfigOptionsRegistry(() => [
    ...standard.map((path) => item(path, false)),
    ...[...new Set(custom)].map((path) => item(path, true)),
  ] as any);
}
