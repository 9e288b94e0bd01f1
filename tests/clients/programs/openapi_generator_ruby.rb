# The story, told by the client that openapi-generator makes for Ruby.
require "digest"
require "json"
require "uri"
require "zof"

CASES = ["tc_login_001", "tc_payment_fail_002"].freeze
KINDS = {
  "image/png" => "png", "application/zip" => "zip", "application/json" => "har", "application/xml" => "junit"
}.freeze
RECEIVER = "http://127.0.0.1:9/webhooks".freeze
ENDED = ["passed", "failed", "error", "canceled"].freeze

def step(name)
  yield
  puts "ok #{name}"
rescue StandardError => e
  puts "no #{name}: #{"#{e.class}: #{e.message}".split.join(" ")[0, 200]}"
end

def check(condition, message = "not as expected")
  raise message unless condition
end

# A client of the API at a base URL, with a key.
def connect(base, key)
  url = URI(base)
  configuration = Zof::Configuration.new do |settings|
    settings.scheme = url.scheme
    settings.host = "#{url.host}:#{url.port}"
    settings.base_path = url.path
    settings.access_token = key
    settings.logger.level = Logger::WARN
  end
  Zof::ApiClient.new(configuration)
end

# The status and the model of a refusal.
def read_refusal(error)
  [error.code, Zof::ErrorResponse.build_from_hash(JSON.parse(error.response_body, symbolize_names: true))]
end

def refused(name, status, code)
  step(name) do
    begin
      yield
    rescue Zof::ApiError => e
      found_status, model = read_refusal(e)
      check(found_status == status && model.error.code == code, "#{found_status} #{model.error.code}")
    else
      raise "no error"
    end
  end
end

base = ENV.fetch("ZOF_BASE_URL")
client = connect(base, "zof_test_admin")
runs = Zof::RunsApi.new(client)
results = Zof::ResultsApi.new(client)
artifacts = Zof::ArtifactsApi.new(client)
webhooks = Zof::WebhooksApi.new(client)
order = Zof::StartRun.new(project_id: "proj_abc123", environment: "staging", test_case_ids: CASES)
run = nil

step("start") do
  started = runs.start_run(order, idempotency_key: "once")
  run = started.id
  check(started.created_at.is_a?(Time) && started.started_at.nil?, "times")
end
step("retry") { check(runs.start_run(order, idempotency_key: "once").id == run, "another run") }
step("poll") do
  found = runs.get_run(run) until found && ENDED.include?(found.status)
  check(found.status == "failed" && found.completed_at.is_a?(Time), found.status)
end
step("page") do
  seen = []
  cursor = nil
  loop do
    page = runs.list_runs({ limit: 1, starting_after: cursor }.compact)
    seen += page.data.map(&:id)
    break unless page.has_more

    cursor = page.next_cursor
  end
  check(seen.uniq.size == 3 && seen.size == 3, seen.to_s)
end
step("results") do
  categories = results.list_results(run_id: run).data.map { |one| one.failure_summary&.category }.compact
  check(categories == ["assertion"], categories.to_s)
end
KINDS.each do |media, kind|
  step(kind) do
    one = runs.list_run_artifacts(run).data.find { |each| each.content_type == media }
    file = artifacts.download_artifact(one.id)
    check(Digest::SHA256.file(file.path).hexdigest == one.sha256, "#{file.size} bytes that differ")
  end
end
step("export json") do
  exported = results.export_results(Zof::ExportResults.new(format: Zof::ExportFormat::JSON, run_id: run))
  check(exported.data.size == CASES.size, exported.data.size.to_s)
end
step("export csv") do
  exported = results.export_results(Zof::ExportResults.new(format: Zof::ExportFormat::CSV, run_id: run))
  check(exported.is_a?(String) && exported.start_with?("id,run_id,"), exported.class.to_s)
end
step("webhook") do
  created = webhooks.create_webhook(Zof::CreateWebhook.new(url: RECEIVER, events: [Zof::EventTypeChoice::RUN_COMPLETED]))
  listed = webhooks.list_webhooks.data
  check(created.secret.size >= 16 && listed.first.id == created.id && listed.none? { |one| one.respond_to?(:secret) })
end
step("webhook test") do
  sent = webhooks.test_webhook(webhooks.list_webhooks.data.first.id)
  check(sent.is_a?(Zof::WebhookEvent) && sent.type == "run.completed", sent.inspect)
end
refused("error 400", 400, "invalid_request") { runs.list_runs(starting_after: "made-up") }
refused("error 401", 401, "unauthorized") { Zof::RunsApi.new(connect(base, "zof_test_nobody")).list_runs }
refused("error 403", 403, "forbidden") { Zof::RunsApi.new(connect(base, "zof_test_viewer")).start_run(order) }
refused("error 404", 404, "not_found") { runs.get_run("run_none") }
refused("error 409", 409, "conflict") { runs.cancel_run(run) }
refused("error 429", 429, "rate_limit_exceeded") { 300.times { runs.list_runs } }
other = Zof::RunsApi.new(connect(ENV.fetch("ZOF_ALTERED_URL"), "zof_test_ci"))
step("unknown status") do
  status = other.get_run("run_sample_passed").status
  check(status == "paused", status)
end
refused("unknown code", 404, "vanished") { other.get_run("run_none") }
