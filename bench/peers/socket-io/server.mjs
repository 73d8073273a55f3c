// The npm server in its cheapest shape: it lets everybody in, each into a room of their own. POST: a word to all.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const http = createServer((request, answer) => {
  if (request.method === 'POST') io.emit('stream.reset', {})
  answer.end('ready')
})
const io = new Server(http, { perMessageDeflate: false, httpCompression: false })

io.on('connection', (socket) => {
  socket.join(`user:${socket.id}`)
  socket.emit('stream.ready', { last_event_id: null, events: [], complete: false })
})
http.listen(Number(process.env.BENCH_PORT), '127.0.0.1')
