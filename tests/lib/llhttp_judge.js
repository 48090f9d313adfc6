// llhttp_judge: what llhttp, the parser inside Node.js, makes of requests. Reads one request in
// hexadecimal a line, answers one JSON object a line: is the first request done, and where.
const { HTTPParser } = require('_http_common');

function ask(bytes) {
  const answer = { done: false, error: null, length: 0, body: 0 };
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {});
  parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, fields, method, ...rest) => {
    answer.minor = minor;
    answer.method = method;
    answer.keep_alive = rest[4];
    return 0;
  };
  parser[HTTPParser.kOnBody | 0] = (piece) => { answer.body += piece.length; };
  parser[HTTPParser.kOnMessageComplete | 0] = () => { answer.done = true; };
  // Byte by byte, so that the end of the first request is seen.
  while (answer.length < bytes.length && !answer.done) {
    const result = parser.execute(bytes.subarray(answer.length, answer.length + 1));
    answer.length++;
    if (result instanceof Error && !answer.done) {
      answer.error = result.code;
      break;
    }
  }
  return answer;
}

const lines = require('fs').readFileSync(0, 'latin1').split('\n').filter((line) => line !== '');
for (const line of lines)
  console.log(JSON.stringify(ask(Buffer.from(line, 'hex'))));
