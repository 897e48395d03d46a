// Rows of a dashboard on Grafana's grid: 24 columns, lines of 30 pixels, gaps of 8 pixels.

import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import 'uplot/dist/uPlot.min.css';

import { createTheme, DataFrame, dateTime, ThemeContext, TimeRange } from '@grafana/data';
import { GlobalStyles, PanelChrome, PortalContainer } from '@grafana/ui';
import React from 'react';
import { createRoot } from 'react-dom/client';

import { framesOf, Panel, registerTransformers } from './frames';
import { KINDS } from './kinds';

interface Picture {
  start: number;
  end: number;
  panels: Panel[];
}

const LINE = 30;
const GAP = 8;
const PADDING = 16;
const theme = createTheme({ colors: { mode: 'dark' } });

function place({ x, y, w, h }: Panel['gridPos'], first: number, width: number) {
  const column = (width + GAP) / 24;
  return {
    position: 'absolute' as const,
    left: x * column,
    top: (y - first) * (LINE + GAP),
    width: w * column - GAP,
    height: h * (LINE + GAP) - GAP,
  };
}

function RowTitle({ panel, style }: { panel: Panel; style: React.CSSProperties }) {
  const { h5 } = theme.typography;
  return (
    <div style={{ ...style, display: 'flex', alignItems: 'center', ...h5, color: theme.colors.text.primary }}>
      {panel.title}
    </div>
  );
}

function Page({ picture, frames }: { picture: Picture; frames: Map<number, DataFrame[]> }) {
  const { panels } = picture;
  const width = document.documentElement.clientWidth - 2 * PADDING;
  const first = Math.min(...panels.map((panel) => panel.gridPos.y));
  const last = Math.max(...panels.map((panel) => panel.gridPos.y + panel.gridPos.h));
  const [from, to] = [dateTime(picture.start * 1000), dateTime(picture.end * 1000)];
  const range: TimeRange = { from, to, raw: { from, to } };
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ background: theme.colors.background.canvas, padding: PADDING }}>
        <div style={{ position: 'relative', width, height: (last - first) * (LINE + GAP) - GAP }}>
          {panels.map((panel) => {
            const style = place(panel.gridPos, first, width);
            if (panel.type === 'row') {
              return <RowTitle key={panel.id} panel={panel} style={style} />;
            }
            const Kind = KINDS[panel.type];
            return (
              <div key={panel.id} style={style}>
                <PanelChrome title={panel.title} description={panel.description} width={style.width} height={style.height}>
                  {(innerWidth, innerHeight) => (
                    <Kind panel={panel} frames={frames.get(panel.id)!} range={range} width={innerWidth} height={innerHeight} />
                  )}
                </PanelChrome>
              </div>
            );
          })}
        </div>
      </div>
      <PortalContainer />
    </ThemeContext.Provider>
  );
}

async function draw(picture: Picture) {
  registerTransformers();
  const frames = new Map<number, DataFrame[]>();
  for (const panel of picture.panels.filter((each) => each.type !== 'row')) {
    if (!(panel.type in KINDS)) {
      throw new Error(`${panel.title}: a ${panel.type} cannot be drawn outside Grafana`);
    }
    frames.set(panel.id, await framesOf(panel, theme));
  }
  createRoot(document.getElementById('page')!).render(<Page picture={picture} frames={frames} />);
}

draw((window as any).picture).catch((error) => {
  console.error(`failed: ${error.stack}`);
});
