// The story, told by the client that openapi-generator makes for Go.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"zof/client"
)

var cases = []string{"tc_login_001", "tc_payment_fail_002"}
var kinds = [][2]string{{"image/png", "png"}, {"application/zip", "zip"}, {"application/json", "har"}, {"application/xml", "junit"}}

func step(name string, action func() error) {
	if err := action(); err != nil {
		words := strings.Join(strings.Fields(err.Error()), " ")
		fmt.Printf("no %s: %.200s\n", name, words)
		return
	}
	fmt.Printf("ok %s\n", name)
}

func check(condition bool, message string) error {
	if !condition {
		return errors.New(message)
	}
	return nil
}

func connect(base string, key string) *client.APIClient {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: base}}
	configuration.DefaultHeader["Authorization"] = "Bearer " + key
	return client.NewAPIClient(configuration)
}

func codeOf(response *http.Response, err error) (int, string, error) {
	var refused *client.GenericOpenAPIError
	if !errors.As(err, &refused) {
		return 0, "", fmt.Errorf("not the error of the client: %v", err)
	}
	model, ok := refused.Model().(client.ErrorResponse)
	if !ok {
		return 0, "", fmt.Errorf("not the model: %T", refused.Model())
	}
	return response.StatusCode, model.Error.Code, nil
}

func refused(name string, status int, code string, provoke func() (*http.Response, error)) {
	step(name, func() error {
		response, err := provoke()
		gotStatus, gotCode, err := codeOf(response, err)
		if err != nil {
			return err
		}
		return check(gotStatus == status && gotCode == code, fmt.Sprint(gotStatus, " ", gotCode))
	})
}

func main() {
	ctx := context.Background()
	base, altered := os.Getenv("ZOF_BASE_URL"), os.Getenv("ZOF_ALTERED_URL")
	api := connect(base, "zof_test_admin")
	order := *client.NewStartRun("proj_abc123", "staging")
	order.SetTestCaseIds(cases)
	run := ""
	step("start", func() error {
		started, _, err := api.RunsAPI.StartRun(ctx).StartRun(order).IdempotencyKey("once").Execute()
		if err != nil {
			return err
		}
		run = started.Id
		return check(!started.CreatedAt.IsZero() && started.StartedAt.Get() == nil, "times")
	})
	step("retry", func() error {
		again, _, err := api.RunsAPI.StartRun(ctx).StartRun(order).IdempotencyKey("once").Execute()
		if err != nil {
			return err
		}
		return check(again.Id == run, "another run")
	})
	step("poll", func() error {
		for {
			found, _, err := api.RunsAPI.GetRun(ctx, run).Execute()
			if err != nil {
				return err
			}
			if found.Status != "queued" && found.Status != "running" {
				return check(found.Status == "failed" && found.CompletedAt.Get() != nil, found.Status)
			}
		}
	})
	step("page", func() error {
		seen := map[string]bool{}
		cursor := ""
		for {
			request := api.RunsAPI.ListRuns(ctx).Limit(1)
			if cursor != "" {
				request = request.StartingAfter(cursor)
			}
			page, _, err := request.Execute()
			if err != nil {
				return err
			}
			for _, one := range page.Data {
				seen[one.Id] = true
			}
			if !page.HasMore {
				return check(len(seen) == 3, fmt.Sprint(len(seen)))
			}
			cursor = *page.NextCursor.Get()
		}
	})
	step("results", func() error {
		page, _, err := api.ResultsAPI.ListResults(ctx).RunId(run).Execute()
		if err != nil {
			return err
		}
		found := []string{}
		for _, one := range page.Data {
			if summary := one.FailureSummary.Get(); summary != nil {
				found = append(found, summary.Category)
			}
		}
		return check(len(found) == 1 && found[0] == "assertion", fmt.Sprint(found))
	})
	artifacts, _, listing := api.RunsAPI.ListRunArtifacts(ctx, run).Execute()
	for _, kind := range kinds {
		step(kind[1], func() error {
			if listing != nil {
				return listing
			}
			for _, one := range artifacts.Data {
				if one.ContentType == kind[0] {
					file, _, err := api.ArtifactsAPI.DownloadArtifact(ctx, one.Id).Execute()
					if err != nil {
						return err
					}
					content, err := io.ReadAll(file)
					if err != nil {
						return err
					}
					digest := sha256.Sum256(content)
					return check(hex.EncodeToString(digest[:]) == one.Sha256, fmt.Sprint(len(content), " bytes that differ"))
				}
			}
			return errors.New("no such artifact is listed")
		})
	}
	step("export json", func() error {
		wanted := *client.NewExportResults(client.JSON)
		wanted.SetRunId(run)
		found, _, err := api.ResultsAPI.ExportResults(ctx).ExportResults(wanted).Execute()
		if err != nil {
			return err
		}
		return check(len(found.Data) == len(cases), fmt.Sprint(len(found.Data)))
	})
	step("export csv", func() error {
		wanted := *client.NewExportResults(client.CSV)
		wanted.SetRunId(run)
		_, _, err := api.ResultsAPI.ExportResults(ctx).ExportResults(wanted).Execute()
		return err
	})
	step("webhook", func() error {
		wanted := *client.NewCreateWebhook("http://127.0.0.1:9/webhooks", []client.EventTypeChoice{client.RUN_COMPLETED})
		created, _, err := api.WebhooksAPI.CreateWebhook(ctx).CreateWebhook(wanted).Execute()
		if err != nil {
			return err
		}
		page, response, err := api.WebhooksAPI.ListWebhooks(ctx).Execute()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		isSecret := !strings.Contains(string(text), "secret") && len(created.Secret) >= 16
		if page.Data[0].Id != created.Id || !isSecret {
			return fmt.Errorf("not as expected: %s", text)
		}
		return nil
	})
	step("webhook test", func() error {
		page, _, err := api.WebhooksAPI.ListWebhooks(ctx).Execute()
		if err != nil {
			return err
		}
		sent, _, err := api.WebhooksAPI.TestWebhook(ctx, page.Data[0].Id).Execute()
		if err != nil {
			return err
		}
		return check(sent.WebhookEvent != nil && sent.WebhookEvent.Type == "run.completed", fmt.Sprint(sent))
	})
	refused("error 400", 400, "invalid_request", func() (*http.Response, error) {
		_, response, err := api.RunsAPI.ListRuns(ctx).StartingAfter("made-up").Execute()
		return response, err
	})
	refused("error 401", 401, "unauthorized", func() (*http.Response, error) {
		_, response, err := connect(base, "zof_test_nobody").RunsAPI.ListRuns(ctx).Execute()
		return response, err
	})
	refused("error 403", 403, "forbidden", func() (*http.Response, error) {
		_, response, err := connect(base, "zof_test_viewer").RunsAPI.StartRun(ctx).StartRun(order).Execute()
		return response, err
	})
	refused("error 404", 404, "not_found", func() (*http.Response, error) {
		_, response, err := api.RunsAPI.GetRun(ctx, "run_none").Execute()
		return response, err
	})
	refused("error 409", 409, "conflict", func() (*http.Response, error) {
		_, response, err := api.RunsAPI.CancelRun(ctx, run).Execute()
		return response, err
	})
	refused("error 429", 429, "rate_limit_exceeded", func() (*http.Response, error) {
		for i := 0; i < 300; i++ {
			if _, response, err := api.RunsAPI.ListRuns(ctx).Execute(); err != nil {
				return response, err
			}
		}
		return nil, errors.New("no error")
	})
	other := connect(altered, "zof_test_ci")
	step("unknown status", func() error {
		found, _, err := other.RunsAPI.GetRun(ctx, "run_sample_passed").Execute()
		if err != nil {
			return err
		}
		return check(found.Status == "paused", found.Status)
	})
	refused("unknown code", 404, "vanished", func() (*http.Response, error) {
		_, response, err := other.RunsAPI.GetRun(ctx, "run_none").Execute()
		return response, err
	})
}
