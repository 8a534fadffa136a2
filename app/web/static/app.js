// What a page does beyond being read: keeps current, changes theme. Without it every page still works.
(() => {
  const root = document.documentElement

  document.getElementById('theme')?.addEventListener('click', () => {
    const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
    root.dataset.theme = isDark ? 'light' : 'dark'
    try { localStorage.setItem('krsync-theme', root.dataset.theme) } catch { /* it holds for this page then */ }
    dispatchEvent(new Event('krsync:draw'))
  })

  // --- live ---------------------------------------------------------------------------------------------------------

  const EVERYTHING = '[data-live], [data-live-any], [data-live-connections]'
  const live = document.getElementById('live')
  let source = null
  let retry = null
  const say = (state, words) => {
    if (live.dataset.state === state) return
    live.dataset.state = state
    live.querySelector('.live-word').textContent = words
  }
  const refresh = (selector) => {
    for (const element of document.querySelectorAll(selector)) htmx.trigger(element, 'refresh')
  }
  // Many events in a row ask for the whole once: now, and once more when they are over.
  const atMostEvery = (milliseconds, act) => {
    let last = -Infinity
    let waiting = null
    return () => {
      if (waiting !== null) return
      waiting = setTimeout(() => { waiting = null; last = performance.now(); act() }, Math.max(0, last + milliseconds - performance.now()))
    }
  }
  const refreshGraph = atMostEvery(3000, () => refresh('[data-live-any]'))
  // What a person would call the news of a part: not its ages.
  const words = (element) => [...element.querySelectorAll('.now, .value, .badge')].map((item) => item.textContent).join(' ')

  // The whole page once more: what reads otherwise by now takes the place of what stands here.
  const text = (element) => {
    const copy = element.cloneNode(true)
    for (const moving of copy.querySelectorAll('script, [data-since]')) moving.remove()
    return copy.textContent.replace(/\s+/g, ' ')
  }
  const put = (old, fresh) => {
    const focus = old.contains(document.activeElement) ? document.activeElement.id : ''
    const had = words(old)
    old.replaceWith(fresh)
    htmx.process(fresh)
    if (focus) document.getElementById(focus)?.focus()
    if (had !== words(fresh)) fresh.classList.add('moved')
  }
  const sync = async (selector) => {
    if (!document.querySelector(`${EVERYTHING}, [data-sum]`)) return
    const answer = await fetch(location.pathname + location.search, { credentials: 'same-origin' }).catch(() => null)
    if (!answer?.ok) return
    if (answer.redirected) return void location.assign(answer.url) // whoever was signed in is not any more
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    const rows = (tree) => [...tree.querySelectorAll('.kr')].map((row) => row.id).join(' ')
    const list = document.getElementById('list')
    if (list && rows(fresh) !== rows(document)) put(list, fresh.getElementById('list'))
    for (const element of fresh.querySelectorAll(selector)) {
      const old = element.id ? document.getElementById(element.id) : null
      if (old && text(old) !== text(element)) put(old, element)
    }
    dispatchEvent(new Event('krsync:draw'))
  }
  const refreshSums = atMostEvery(3000, () => sync('[data-sum]'))
  const all = () => sync(`${EVERYTHING}, [data-sum]`)
  const listen = () => {
    clearTimeout(retry)
    source?.close()
    source = new EventSource('/v1/live')
    source.addEventListener('open', () => say('on', 'Live'))
    source.addEventListener('error', () => {
      say('lost', 'Reconnecting')
      // The browser tries again by itself, but not after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(() => { listen(); all() }, 5000)
    })
    // What happened between the page and the stream, or while there was none; a resumed one tells what was missed.
    source.addEventListener('ready', all)
    source.addEventListener('key_result', (event) => {
      refresh(`[data-live="${CSS.escape(JSON.parse(event.data).id)}"]`)
      refreshGraph()
      refreshSums()
    })
    source.addEventListener('connection', () => refresh('[data-live-connections]'))
    source.addEventListener('reset', all)
    source.addEventListener('removed', () => { refreshGraph(); refreshSums() })
  }
  const leave = () => { clearTimeout(retry); source?.close(); source = null }
  if (live) {
    listen()
    addEventListener('pagehide', leave)
    addEventListener('pageshow', (event) => { if (event.persisted) listen() })
    // A browser opens few connections to one host: a tab that nobody sees gives its own back.
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) leave()
      else if (!source) listen()
    })
  }

  // What a fragment brought is marked once, where its words differ from what stood there.
  const before = new Map()
  document.addEventListener('htmx:beforeSwap', (event) => { before.set(event.detail.target.id, words(event.detail.target)) })
  document.addEventListener('htmx:afterSettle', (event) => {
    const now = document.getElementById(event.target.id)
    if (now && before.has(now.id) && before.get(now.id) !== words(now)) now.classList.add('moved')
    before.delete(event.target.id)
    dispatchEvent(new Event('krsync:draw'))
  })

  // Ages go on by themselves.
  const span = (seconds) => {
    for (const [size, word] of [[86400, 'day'], [3600, 'h'], [60, 'min']]) {
      const count = Math.floor(seconds / size)
      if (count >= 1) return `${count}\u00a0${word}${word === 'day' && count !== 1 ? 's' : ''}`
    }
    return `${Math.max(Math.floor(seconds), 0)}\u00a0s`
  }
  setInterval(() => {
    for (const age of document.querySelectorAll('[data-since]')) age.textContent = span(Date.now() / 1000 - age.dataset.since)
  }, 10000)

  // --- small things -------------------------------------------------------------------------------------------------

  document.addEventListener('click', async (event) => {
    const button = event.target.closest?.('[data-copy]')
    if (!button) return
    await navigator.clipboard.writeText(button.dataset.copy)
    button.textContent = 'Copied'
  })
})()
