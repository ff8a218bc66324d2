// The official tus client, driven by one JSON argument; prints one JSON object: what was asked, and how it ended.
const tus = require('tus-js-client')
const crypto = require('node:crypto')
const fs = require('node:fs')

const asked = JSON.parse(process.argv[2])
const body = fs.readFileSync(asked.file)
const requests = []

function end(facts) {
  console.log(JSON.stringify({ url: upload.url, requests, ...facts }))
}

const upload = new tus.Upload(body, {
  endpoint: asked.endpoint,
  uploadUrl: asked.uploadUrl ?? null,
  headers: { Authorization: `Token ${asked.token}` },
  metadata: asked.metadata,
  chunkSize: asked.chunkSize ?? Number.POSITIVE_INFINITY,
  uploadDataDuringCreation: asked.uploadDataDuringCreation ?? false,
  overridePatchMethod: asked.overridePatchMethod ?? false,
  retryDelays: asked.retryDelays ?? null,
  onBeforeRequest(request) {
    if (asked.checksumOf && request.getMethod() === 'PATCH') {
      const digest = crypto.createHash('sha1').update(asked.checksumOf === 'body' ? body : asked.checksumOf).digest('base64')
      request.setHeader('Upload-Checksum', `sha1 ${digest}`)
    }
  },
  onAfterResponse(request, response) {
    requests.push([request.getMethod(), response.getStatus(), Number(response.getHeader('Upload-Offset') ?? -1)])
  },
  onChunkComplete(size, accepted) {
    if (asked.terminateAt && accepted >= asked.terminateAt) {
      upload.abort(true).then(() => end({ ended: 'terminated' }))
    }
  },
  onSuccess(payload) {
    end({ ended: 'success', photo: payload.lastResponse.getHeader('Content-Location') })
  },
  onError(error) {
    end({ ended: 'error', status: error.originalResponse?.getStatus() ?? 0, problem: error.originalResponse?.getBody() })
  },
})
upload.start()
