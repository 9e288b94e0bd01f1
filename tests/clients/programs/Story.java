// The story, told by the client that openapi-generator makes for Java and its own HTTP client.
import com.fasterxml.jackson.databind.DeserializationFeature;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import zof.ApiClient;
import zof.ApiException;
import zof.api.ArtifactsApi;
import zof.api.ResultsApi;
import zof.api.RunsApi;
import zof.api.WebhooksApi;
import zof.model.Artifact;
import zof.model.CreateWebhook;
import zof.model.CreatedWebhook;
import zof.model.ErrorResponse;
import zof.model.EventTypeChoice;
import zof.model.ExportFormat;
import zof.model.ExportResults;
import zof.model.RunDetail;
import zof.model.RunPage;
import zof.model.StartRun;
import zof.model.Webhook;
import zof.model.WebhookEvent;

public final class Story {
    private static final List<String> CASES = List.of("tc_login_001", "tc_payment_fail_002");
    private static final String RECEIVER = "http://127.0.0.1:9/webhooks";
    private static String run = "";

    interface Action {
        void perform() throws Exception;
    }

    static void step(String name, Action action) {
        try {
            action.perform();
            System.out.println("ok " + name);
        } catch (Exception error) {
            String words = (error.getClass().getSimpleName() + ": " + error.getMessage()).replaceAll("\\s+", " ");
            System.out.println("no " + name + ": " + words.substring(0, Math.min(200, words.length())));
        }
    }

    static void check(boolean condition, String message) {
        if (!condition) {
            throw new IllegalStateException(message);
        }
    }

    static ApiClient connect(String base, String key) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(base);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + key));
        return client;
    }

    static void refused(ApiClient client, String name, int status, String code, Action provoke) {
        step(name, () -> {
            try {
                provoke.perform();
            } catch (ApiException error) {
                String text = error.getResponseBody();
                String found = client.getObjectMapper().readValue(text, ErrorResponse.class).getError().getCode();
                check(error.getCode() == status && found.equals(code), error.getCode() + " " + found);
                return;
            }
            throw new IllegalStateException("no error");
        });
    }

    public static void main(String[] arguments) throws Exception {
        String base = System.getenv("ZOF_BASE_URL");
        ApiClient client = connect(base, "zof_test_admin");
        RunsApi runs = new RunsApi(client);
        ResultsApi results = new ResultsApi(client);
        ArtifactsApi artifacts = new ArtifactsApi(client);
        WebhooksApi webhooks = new WebhooksApi(client);
        StartRun order = new StartRun().projectId("proj_abc123").environment("staging").testCaseIds(new LinkedHashSet<>(CASES));
        step("start", () -> {
            RunDetail started = runs.startRun(order, "once");
            run = started.getId();
            check(started.getCreatedAt().getYear() > 2000 && started.getStartedAt() == null, "times");
        });
        step("retry", () -> check(runs.startRun(order, "once").getId().equals(run), "another run"));
        step("poll", () -> {
            RunDetail found = runs.getRun(run);
            while (Set.of("queued", "running").contains(found.getStatus())) {
                found = runs.getRun(run);
            }
            check(found.getStatus().equals("failed") && found.getCompletedAt() != null, found.getStatus());
        });
        step("page", () -> {
            Set<String> seen = new HashSet<>();
            RunPage page = runs.listRuns(null, null, null, null, 1, null);
            page.getData().forEach(one -> seen.add(one.getId()));
            while (page.getHasMore()) {
                page = runs.listRuns(null, null, null, null, 1, page.getNextCursor());
                page.getData().forEach(one -> seen.add(one.getId()));
            }
            check(seen.size() == 3, "" + seen.size());
        });
        step("results", () -> {
            List<String> found = results.listResults(run, null, null, null, null, null).getData().stream()
                .filter(one -> one.getFailureSummary() != null)
                .map(one -> one.getFailureSummary().getCategory()).toList();
            check(found.equals(List.of("assertion")), found.toString());
        });
        Map<String, String> kinds = new LinkedHashMap<>();
        kinds.put("image/png", "png");
        kinds.put("application/zip", "zip");
        kinds.put("application/json", "har");
        kinds.put("application/xml", "junit");
        kinds.forEach((media, kind) -> step(kind, () -> {
            Artifact found = runs.listRunArtifacts(run, null, null).getData().stream()
                .filter(one -> one.getContentType().equals(media)).findFirst().orElseThrow();
            byte[] content = Files.readAllBytes(artifacts.downloadArtifact(found.getId()).toPath());
            String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
            check(digest.equals(found.getSha256()), content.length + " bytes that differ");
        }));
        step("export json", () -> {
            int size = results.exportResults(new ExportResults().format(ExportFormat.JSON).runId(run), null).getData().size();
            check(size == CASES.size(), "" + size);
        });
        step("export csv", () -> results.exportResults(new ExportResults().format(ExportFormat.CSV).runId(run), null));
        step("webhook", () -> {
            CreatedWebhook created = webhooks.createWebhook(
                new CreateWebhook().url(RECEIVER).events(Set.of(EventTypeChoice.RUN_COMPLETED)), null);
            check(created.getSecret().length() >= 16, "the secret");
            List<Webhook> listed = webhooks.listWebhooks(null, null).getData();
            String text = client.getObjectMapper().writeValueAsString(listed);
            check(listed.get(0).getId().equals(created.getId()) && !text.contains("secret"), text);
        });
        // Java tells the forms of an event apart by their fields, so its mapper must refuse unknown ones.
        ApiClient strict = connect(base, "zof_test_admin");
        strict.setObjectMapper(strict.getObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, true));
        step("webhook test", () -> {
            String newest = webhooks.listWebhooks(null, null).getData().get(0).getId();
            WebhookEvent event = new WebhooksApi(strict).testWebhook(newest, null).getWebhookEvent();
            check(event.getType().equals("run.completed"), event.getType());
        });
        refused(client, "error 400", 400, "invalid_request", () -> runs.listRuns(null, null, null, null, null, "made-up"));
        RunsApi nobody = new RunsApi(connect(base, "zof_test_nobody"));
        refused(client, "error 401", 401, "unauthorized", () -> nobody.listRuns(null, null, null, null, null, null));
        RunsApi viewer = new RunsApi(connect(base, "zof_test_viewer"));
        refused(client, "error 403", 403, "forbidden", () -> viewer.startRun(order, null));
        refused(client, "error 404", 404, "not_found", () -> runs.getRun("run_none"));
        refused(client, "error 409", 409, "conflict", () -> runs.cancelRun(run, null));
        refused(client, "error 429", 429, "rate_limit_exceeded", () -> {
            for (int i = 0; i < 300; i++) {
                runs.listRuns(null, null, null, null, null, null);
            }
        });
        RunsApi other = new RunsApi(connect(System.getenv("ZOF_ALTERED_URL"), "zof_test_ci"));
        step("unknown status", () -> {
            String status = other.getRun("run_sample_passed").getStatus();
            check(status.equals("paused"), status);
        });
        refused(client, "unknown code", 404, "vanished", () -> other.getRun("run_none"));
        System.exit(0);
    }
}
