// Command shapes calls a cluster the way OSCAR's command-line client does, which is a Go program: the same HTTP
// library, the same decoder, answers read into the types of both of its generations, requests with every member it
// sends. It stands in where the client itself cannot be had from its registry; it is no part of it.
//
// Usage: shapes GENERATION NAME IMAGE      (GENERATION is 1 or 2; the cluster is in the environment)
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

var (
	endpoint = os.Getenv("SPILLWAY_API")
	user     = os.Getenv("SPILLWAY_USER")
	password = os.Getenv("SPILLWAY_PASSWORD")
	client   = &http.Client{Timeout: 20 * time.Second}
)

func main() {
	generation, name, image := os.Args[1], os.Args[2], os.Args[3]
	info(generation)
	config()
	apply(generation, name, image)
	list(generation, name)
	job := call(name)
	logs(name, job)
	buckets(name)
	remove(name)
	fmt.Println("all of it worked")
}

func check(good bool, format string, values ...any) {
	if !good {
		fmt.Printf(format+"\n", values...)
		os.Exit(1)
	}
}

// send makes a request as the client does: no content type, no accept, basic credentials unless there is a token.
func send(method, path string, body io.Reader, token string) (int, []byte) {
	request, err := http.NewRequest(method, endpoint+path, body)
	check(err == nil, "%v", err)
	if token == "" {
		request.SetBasicAuth(user, password)
	} else {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	check(err == nil, "%s %s: %v", method, path, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err == nil, "%s %s: %v", method, path, err)
	return answer.StatusCode, text
}

// good is what the client takes for success.
func good(method, path string, body io.Reader, token string) []byte {
	status, text := send(method, path, body, token)
	check(status >= 200 && status <= 204, "%s %s: %d %s", method, path, status, text)
	return text
}

func decode(path string, into any) {
	text := good("GET", path, nil, "")
	err := json.Unmarshal(text, into)
	check(err == nil, "GET %s: %v in\n%s", path, err, text)
}

func info(generation string) {
	var info struct {
		Version      string `json:"version"`
		Commit       string `json:"git_commit"`
		Architecture string `json:"architecture"`
		Kubernetes   string `json:"kubernetes_version"`
		Backend      struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"serverless_backend"`
	}
	decode("/system/info", &info)
	check(strings.HasPrefix(info.Version, "v"), "the version is %q", info.Version)
	if generation == "1" {
		return
	}
	check(string(good("GET", "/health", nil, "")) == "Ok", "health must be Ok")
	var status status
	decode("/system/status", &status)
	check(status.Cluster.NodesCount == 1 && len(status.Cluster.Nodes) == 1, "one node, not %+v", status.Cluster)
	check(!status.Oscar.Deployment.Created.IsZero(), "a deployment has a time of creation")
}

// config does what the client does with the store's account: conversions that panic on another type.
func config() {
	var config map[string]any
	decode("/system/config", &config)
	provider := config["minio_provider"].(map[string]any)
	for _, name := range []string{"endpoint", "access_key", "secret_key", "region"} {
		check(provider[name].(string) != "", "minio_provider.%s is empty", name)
	}
	_ = provider["verify"].(bool)
}

// apply reads the service, and takes any answer but a service for a reason to create it.
func apply(generation, name, image string) {
	one := service{
		Name: name, ClusterID: "edge", Memory: "64Mi", CPU: "0.1", Image: image,
		Script:           "#!/bin/sh\ncat \"$INPUT_FILE_PATH\"\ncp \"$INPUT_FILE_PATH\" \"$TMP_OUTPUT_DIR/copy\"\n",
		Input:            []place{{Provider: "minio.default", Path: name + "/in"}},
		Output:           []place{{Provider: "minio.default", Path: name + "/out"}},
		Environment:      environment{Variables: map[string]string{"MODE": "fast"}},
		Clusters:         map[string]cluster{"edge": {Endpoint: endpoint, User: user, Password: password}},
		StorageProviders: map[string]map[string]credentials{"minio": {}},
	}
	var whole any = service3{service: one}
	if generation == "2" {
		whole = service4{service: one}
	}
	body, err := json.Marshal(whole)
	check(err == nil, "%v", err)
	for _, expected := range []string{"POST", "PUT"} {
		method := "PUT"
		if status, _ := send("GET", "/system/services/"+name, nil, ""); status != 200 {
			method = "POST"
		}
		check(method == expected, "it should be %s, not %s", expected, method)
		good(method, "/system/services", strings.NewReader(string(body)), "")
	}
}

// list reads all services and the one into the generation's type; what it got goes back as an update.
func list(generation, name string) {
	var back any
	if generation == "1" {
		var all []service3
		var one service3
		decode("/system/services", &all)
		decode("/system/services/"+name, &one)
		check(len(all) > 0 && one.Name == name && len(one.Token) == 64, "not the service: %+v", one)
		back = one
	} else {
		var all []service4
		var one service4
		decode("/system/services", &all)
		decode("/system/services/"+name, &one)
		check(len(all) > 0 && one.Visibility == "private" && one.Owner == "cluster_admin", "not the service: %+v", one)
		back = one
	}
	body, err := json.Marshal(back)
	check(err == nil, "%v", err)
	good("PUT", "/system/services", strings.NewReader(string(body)), "")
	var one service3
	decode("/system/services/"+name, &one)
	check(one.Environment.Variables["MODE"] == "fast", "variables are lost: %+v", one.Environment)
	check(!strings.Contains(string(good("GET", "/system/services/"+name, nil, "")), password), "our password is stored")
}

// base64Of streams its input as the client does, so that the request has no length.
func base64Of(text string) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		encoder := base64.NewEncoder(base64.StdEncoding, writer)
		_, err := io.Copy(encoder, strings.NewReader(text))
		if err == nil {
			err = encoder.Close()
		}
		writer.CloseWithError(err)
	}()
	return reader
}

// call starts a job with each kind of credentials, waits for both, and gives the name of the last.
func call(name string) string {
	var one service4
	decode("/system/services/"+name, &one)
	large := strings.Repeat("much of it, ", 100_000)
	good("POST", "/job/"+name, base64Of("by token"), one.Token)
	good("POST", "/job/"+name, base64Of(large), "")
	status, text := send("POST", "/job/"+name, base64Of("x"), strings.Repeat("0", 64))
	check(status == 401, "a wrong token: %d %s", status, text)
	status, text = send("POST", "/run/"+name, base64Of("x"), one.Token)
	check(status == 501 && len(text) > 0, "a synchronous call is not there yet, and this must be said: %d %s", status, text)
	deadline := time.Now().Add(90 * time.Second)
	for {
		var all jobs
		decode("/system/logs/"+name+"?page=", &all)
		latest, ended := "", 0
		for job, record := range all.Jobs {
			check(strings.HasPrefix(job, name+"-"), "not a job of %s: %s", name, job)
			check(record.Creation != nil, "a job without a time of creation: %s", job)
			check(record.Status != "Failed", "it failed: %s", job)
			if record.Status == "Succeeded" {
				check(record.Start != nil && record.Finish != nil, "times are missing: %s", job)
				latest = job
				ended++
			}
		}
		if ended == 2 && len(all.Jobs) == 2 {
			check(all.NextPage == "", "there is one page only")
			return latest
		}
		check(time.Now().Before(deadline), "the jobs did not end: %+v", all)
		time.Sleep(50 * time.Millisecond)
	}
}

func logs(name, job string) {
	plain := good("GET", "/system/logs/"+name+"/"+job, nil, "")
	check(len(plain) > 0, "an empty log")
	stamped := string(good("GET", "/system/logs/"+name+"/"+job+"?timestamps=true", nil, ""))
	_, err := time.Parse(time.RFC3339Nano, strings.SplitN(stamped, " ", 2)[0])
	check(err == nil, "%v", err)
	good("DELETE", "/system/logs/"+name+"/"+job, nil, "")
	good("DELETE", "/system/logs/"+name+"?all=true", nil, "")
	var all jobs
	decode("/system/logs/"+name, &all)
	check(len(all.Jobs) == 0, "jobs are left: %+v", all)
}

func buckets(name string) {
	var all []bucket
	decode("/system/buckets", &all)
	var one bucket
	decode("/system/buckets/"+url.PathEscape(name)+"?limit=10&page=", &one)
	check(one.Name == name && one.Returned == len(one.Objects) && len(one.Objects) >= 3, "not the bucket: %+v", one)
	for _, object := range one.Objects {
		check(!object.Modified.IsZero(), "an object without a time: %+v", object)
	}
}

func remove(name string) {
	good("DELETE", "/system/services/"+name, nil, "")
	for _, path := range []string{"/system/services/" + name, "/system/logs/" + name} {
		status, _ := send("GET", path, nil, "")
		check(status == 404, "GET %s: %d", path, status)
	}
}
