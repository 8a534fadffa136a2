// The history of a key result, drawn by uPlot from the JSON that the page carries.
(() => {
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
  const DAY = 86400
  const charts = new Map()
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const day = (seconds) => {
    const date = new Date(seconds * 1000)
    return `${date.getUTCDate()}\u00a0${MONTHS[date.getUTCMonth()]}`
  }
  const short = (value) => {
    const size = Math.abs(value)
    for (const [unit, word] of [[1e9, '\u202fbn'], [1e6, '\u202fM']]) {
      if (size >= unit) return `${+(value / unit).toPrecision(4)}${word}`.replace('-', '\u2212')
    }
    return (+value.toPrecision(6)).toLocaleString('en').replaceAll(',', '\u202f').replace('-', '\u2212')
  }

  // Midnights, as many as there is room for, so that a month begins where one begins.
  const splits = (plot, axis, from, to) => {
    const room = Math.max(2, Math.floor(plot.width / 90))
    const found = []
    if ((to - from) / DAY > room * 20) {
      const every = Math.max(1, Math.ceil((to - from) / DAY / 30 / room))
      const date = new Date(from * 1000)
      for (let month = date.getUTCMonth(), at = 0; at <= to; month += every) {
        at = Date.UTC(date.getUTCFullYear(), month, 1) / 1000
        if (at >= from && at <= to) found.push(at)
      }
      return found
    }
    const every = Math.max(1, Math.ceil((to - from) / DAY / room / 7) * 7)
    const step = (to - from) / DAY <= room ? 1 : every
    for (let at = Math.ceil(from / DAY) * DAY; at <= to; at += step * DAY) found.push(at)
    return found
  }

  const draw = (box, data) => {
    const ink = colour('--soft'), line = colour('--line'), accent = colour('--accent'), good = colour('--good')
    const tints = { rule: accent, restated: colour('--warning'), check_in: good, override: colour('--silent') }
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 }, font: '12px Inter, system-ui, sans-serif' }
    const dashed = (label, stroke, dash) => ({ label, stroke, dash, width: 1.5, points: { show: false }, spanGaps: true })
    const hidden = (label) => ({ label, stroke: 'transparent', width: 1, points: { show: false }, spanGaps: true })
    const overlay = (plot) => {
      const { ctx } = plot
      const { left, top, width, height } = plot.bbox
      const scale = devicePixelRatio
      ctx.save()
      ctx.beginPath()
      ctx.rect(left, top - 12 * scale, width + 1, height + 12 * scale)
      ctx.clip()
      ctx.lineWidth = scale
      const vertical = (x, dash, alpha) => {
        ctx.globalAlpha = alpha
        ctx.setLineDash(dash.map((part) => part * scale))
        ctx.beginPath()
        ctx.moveTo(x, top)
        ctx.lineTo(x, top + height)
        ctx.stroke()
        ctx.globalAlpha = 1
      }
      for (const limit of data.limits) {
        const y = Math.round(plot.valToPos(limit, 'y', true))
        ctx.strokeStyle = good
        ctx.setLineDash([2 * scale, 4 * scale])
        ctx.beginPath()
        ctx.moveTo(left, y)
        ctx.lineTo(left + width, y)
        ctx.stroke()
      }
      for (const mark of data.marks) {
        const x = Math.round(plot.valToPos(mark.at, 'x', true))
        ctx.strokeStyle = ctx.fillStyle = tints[mark.kind]
        vertical(x, [2, 4], .55)
        shape(ctx, mark.kind, x, top + 1 * scale, 5 * scale)
      }
      if (data.now !== null) {
        const x = Math.round(plot.valToPos(data.now, 'x', true))
        ctx.strokeStyle = ctx.fillStyle = colour('--ink')
        vertical(x, [3, 3], .5)
        ctx.font = `${11 * scale}px Inter, system-ui, sans-serif`
        ctx.textAlign = 'left'
        ctx.fillText('now', x + 4 * scale, top + height - 6 * scale)
      }
      ctx.restore()
    }
    const options = {
      width: box.clientWidth,
      height: Math.round(Math.max(260, Math.min(420, box.clientWidth * .42))),
      padding: [14, 12, 0, 0],
      hooks: { draw: [overlay] },
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
      cursor: { points: { size: 7 } },
      scales: {
        x: { time: true, range: [data.start, data.end] },
        y: { range: (plot, low, high) => uPlot.rangeNum(Math.min(low, ...data.limits), Math.max(high, ...data.limits), .1, true) },
      },
      axes: [
        { ...axis, splits, values: (plot, at) => at.map(day) },
        { ...axis, size: 60, values: (plot, at) => at.map(short) },
      ],
      bands: [{ series: [5, 6], fill: `color-mix(in srgb, ${accent} 18%, transparent)` }],
      series: [
        {},
        { label: 'value', stroke: accent, width: 2.5, points: { show: false }, spanGaps: false, paths: uPlot.paths.stepped({ align: 1 }) },
        dashed('expected', ink, [6, 5]),
        dashed('target', good, [2, 4]),
        dashed('forecast', accent, [4, 4]),
        hidden('forecast high'),
        hidden('forecast low'),
      ],
    }
    box.replaceChildren()
    return new uPlot(options, uPlot.join(data.series), box)
  }
  const shape = (ctx, kind, x, y, size) => {
    ctx.beginPath()
    if (kind === 'rule') { ctx.moveTo(x, y - size); ctx.lineTo(x + size, y + size); ctx.lineTo(x - size, y + size) }
    else if (kind === 'restated') { ctx.moveTo(x, y - size); ctx.lineTo(x + size, y); ctx.lineTo(x, y + size); ctx.lineTo(x - size, y) }
    else if (kind === 'override') ctx.rect(x - size * .8, y - size * .8, size * 1.6, size * 1.6)
    else ctx.arc(x, y, size * .85, 0, 2 * Math.PI)
    ctx.fill()
  }

  const drawAll = () => {
    for (const box of document.querySelectorAll('.chart[data-source]')) {
      const text = document.getElementById(box.dataset.source)?.textContent
      if (!text) continue
      charts.get(box)?.destroy()
      charts.set(box, draw(box, JSON.parse(text)))
    }
  }
  let resized = null
  addEventListener('resize', () => { clearTimeout(resized); resized = setTimeout(drawAll, 150) })
  addEventListener('krsync:draw', drawAll)
  document.fonts.ready.then(drawAll)
})()
