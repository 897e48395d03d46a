// The content of a panel by its kind. Heatmap and state timeline are in Grafana's core, which is not
// published as a package: they cannot be drawn here, and page.tsx rejects them.

import { DataFrame, getDisplayValueAlignmentFactors, getFieldDisplayValues, TimeRange, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, Table, TimeSeries, useTheme2, VizRepeater } from '@grafana/ui';
import React from 'react';

import { Panel } from './frames';

interface Props {
  panel: Panel;
  frames: DataFrame[];
  range: TimeRange;
  width: number;
  height: number;
}

function Graph({ panel, frames, range, width, height }: Props) {
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={range}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

function useDisplayValues({ panel, frames }: Props) {
  const theme = useTheme2();
  return getFieldDisplayValues({
    data: frames,
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}

function Stat(props: Props) {
  const theme = useTheme2();
  const { options } = props.panel;
  const [value] = useDisplayValues(props);
  return (
    <BigValue
      value={{ ...value.display, title: '' }}
      count={1}
      colorMode={options.colorMode}
      graphMode={options.graphMode}
      justifyMode={options.justifyMode}
      textMode={options.textMode}
      width={props.width}
      height={props.height}
      theme={theme}
    />
  );
}

function Bars(props: Props) {
  const theme = useTheme2();
  const { options, fieldConfig } = props.panel;
  const values = useDisplayValues(props);
  return (
    <VizRepeater
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, alignmentFactors, width, height, orientation }: any) => (
        <BarGauge
          value={value.display}
          field={value.field ?? fieldConfig.defaults}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          width={width}
          height={height}
          orientation={orientation}
          displayMode={options.displayMode}
          valueDisplayMode={options.valueMode}
          showUnfilled={options.showUnfilled}
          alignmentFactors={alignmentFactors}
          text={options.text}
          itemSpacing={8}
          lcdCellWidth={12}
          theme={theme}
        />
      )}
      source={props.frames}
      width={props.width}
      height={props.height}
      renderCounter={0}
      itemSpacing={8}
      minVizHeight={16}
      maxVizHeight={300}
      orientation={VizOrientation.Horizontal}
    />
  );
}

function Rows({ panel, frames, range, width, height }: Props) {
  return (
    <Table
      data={frames[0]}
      width={width}
      height={height}
      initialSortBy={panel.options?.sortBy}
      cellHeight={panel.options?.cellHeight}
      timeRange={range}
      fieldConfig={panel.fieldConfig}
    />
  );
}

export const KINDS: Record<string, React.FC<Props>> = {
  timeseries: Graph,
  stat: Stat,
  bargauge: Bars,
  table: Rows,
};
