// What a page does beyond being read: keeps current, draws its charts, changes theme. Without it every page still works.
(() => {
  const root = document.documentElement

  document.getElementById('theme')?.addEventListener('click', () => {
    const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
    root.dataset.theme = isDark ? 'light' : 'dark'
    try { localStorage.setItem('krsync-theme', root.dataset.theme) } catch { /* it holds for this page then */ }
    drawCharts()
  })

  // --- live ---------------------------------------------------------------------------------------------------------

  const live = document.getElementById('live')
  const say = (state, words) => {
    if (!live || live.dataset.state === state) return
    live.dataset.state = state
    live.querySelector('.live-word').textContent = words
  }
  const refresh = (selector) => {
    for (const element of document.querySelectorAll(selector)) htmx.trigger(element, 'refresh')
  }
  const listen = () => {
    const source = new EventSource('/v1/live')
    source.addEventListener('open', () => say('on', 'Live'))
    source.addEventListener('error', () => say('lost', 'Reconnecting'))
    source.addEventListener('key_result', (event) => {
      const { id } = JSON.parse(event.data)
      refresh(`[data-live="${CSS.escape(id)}"], [data-live-any]`)
    })
    source.addEventListener('connection', () => refresh('[data-live-connections]'))
    source.addEventListener('reset', () => refresh('[data-live], [data-live-any], [data-live-connections]'))
    addEventListener('pagehide', () => source.close(), { once: true })
  }
  if (live && typeof EventSource === 'function') listen()
  addEventListener('pageshow', (event) => { if (event.persisted && live) listen() })

  // What a fragment brought is marked once, where its words differ from what stood there.
  document.addEventListener('htmx:beforeSwap', (event) => { event.detail.target.dataset.before = event.detail.target.textContent.replace(/\s+/g, ' ') })
  document.addEventListener('htmx:afterSwap', (event) => {
    const before = event.detail.target.dataset?.before
    const now = event.detail.elt?.id ? document.getElementById(event.detail.elt.id) : null
    if (now && before && value(before) !== value(now.textContent.replace(/\s+/g, ' '))) now.classList.add('moved')
    drawCharts()
  })
  // Ages move by themselves; only what stands before them says that something changed.
  const value = (text) => text.replace(/[0-9]+[\u00a0\s](s|min|h|days?) old/g, '')

  // --- charts -------------------------------------------------------------------------------------------------------

  const charts = new Map()
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim()
  const drawCharts = () => {
    if (typeof uPlot !== 'function') return
    for (const box of document.querySelectorAll('.chart[data-source]')) {
      const data = JSON.parse(document.getElementById(box.dataset.source).textContent)
      charts.get(box)?.destroy()
      charts.set(box, draw(box, data))
    }
  }
  const draw = (box, data) => {
    const ink = colour('--soft'), line = colour('--line'), accent = colour('--accent')
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: '12px Inter, system-ui, sans-serif' }
    const dashed = (label, stroke, dash) => ({ label, stroke, dash, width: 1.5, points: { show: false }, spanGaps: true })
    const marks = {
      hooks: {
        draw: (plot) => {
          const { ctx } = plot
          for (const mark of data.marks) {
            const x = Math.round(plot.valToPos(mark.at, 'x', true))
            if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue
            ctx.save()
            ctx.strokeStyle = ctx.fillStyle = mark.kind === 'now' ? colour('--ink') : accent
            ctx.globalAlpha = mark.kind === 'now' ? .55 : .8
            ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
            ctx.beginPath()
            ctx.moveTo(x, plot.bbox.top)
            ctx.lineTo(x, plot.bbox.top + plot.bbox.height)
            ctx.stroke()
            ctx.font = `${11 * devicePixelRatio}px Inter, system-ui, sans-serif`
            ctx.fillText(mark.label, x + 4 * devicePixelRatio, plot.bbox.top + 12 * devicePixelRatio)
            ctx.restore()
          }
        },
      },
    }
    const options = {
      width: box.clientWidth,
      height: Math.max(260, Math.min(380, box.clientWidth * .42)),
      plugins: [marks],
      legend: { show: false },
      cursor: { points: { size: 7 } },
      scales: { x: { time: true, range: [data.start, data.end] } },
      axes: [axis, { ...axis, size: 64 }],
      bands: [{ series: [5, 6], fill: `color-mix(in srgb, ${accent} 16%, transparent)` }],
      series: [
        {},
        { label: 'value', stroke: accent, width: 2.5, points: { size: 5, fill: accent }, spanGaps: false, paths: uPlot.paths.stepped({ align: 1 }) },
        dashed('expected', ink, [6, 5]),
        dashed('target', colour('--good'), [2, 4]),
        dashed('forecast', accent, [4, 4]),
        { ...dashed('forecast high', 'transparent'), width: 0 },
        { ...dashed('forecast low', 'transparent'), width: 0 },
      ],
    }
    box.replaceChildren()
    return new uPlot(options, data.columns, box)
  }
  let resized = null
  addEventListener('resize', () => { clearTimeout(resized); resized = setTimeout(drawCharts, 150) })
  drawCharts()

  // --- small things -------------------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll('[data-copy]')) {
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(button.dataset.copy)
      button.textContent = 'Copied'
    })
  }
})()
