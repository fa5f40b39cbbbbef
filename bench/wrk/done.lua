-- What came of it, as a line of JSON for the benchmark to read. Times in microseconds.

function done(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      '\n{"requests":%d,"micros":%d,"not_answered":%d,"refused":%d,"mean":%.0f,"p99":%.0f}',
      summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout,
      errors.status, latency.mean, latency:percentile(99)))
end
