// Grafana's type of a dashboard as JSON: strings in place of enumerations.

import type { AnnotationQuery, Dashboard } from '@grafana/schema';

type Plain<T> = T extends string
  ? `${T}`
  : T extends Array<infer Each>
    ? Array<Plain<Each>>
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

// The keys that the Prometheus data source adds to an annotation.
interface OfPrometheus {
  expr: string;
  titleFormat: string;
  tagKeys: string;
}

export type Model = Plain<Omit<Dashboard, 'annotations'>> & {
  annotations: { list: Array<Plain<AnnotationQuery> & OfPrometheus> };
};
