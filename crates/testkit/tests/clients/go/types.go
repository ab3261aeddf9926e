package main

import "time"

// What both generations of the command-line client expect of answers: Go's decoder refuses a whole answer when one
// member has another type. The older generation is compiled against the data of OSCAR 3.3, the newer against 4.

type service struct {
	Name             string                            `json:"name"`
	ClusterID        string                            `json:"cluster_id"`
	Memory           string                            `json:"memory"`
	CPU              string                            `json:"cpu"`
	TotalMemory      string                            `json:"total_memory"`
	TotalCPU         string                            `json:"total_cpu"`
	EnableGPU        bool                              `json:"enable_gpu"`
	EnableSGX        bool                              `json:"enable_sgx"`
	ImagePrefetch    bool                              `json:"image_prefetch"`
	Synchronous      scale                             `json:"synchronous"`
	LogLevel         string                            `json:"log_level"`
	Image            string                            `json:"image"`
	Alpine           bool                              `json:"alpine"`
	Token            string                            `json:"token"`
	FileStageIn      bool                              `json:"file_stage_in"`
	Input            []place                           `json:"input"`
	Output           []place                           `json:"output"`
	Script           string                            `json:"script"`
	ImagePullSecrets []string                          `json:"image_pull_secrets,omitempty"`
	Environment      environment                       `json:"environment"`
	Annotations      map[string]string                 `json:"annotations"`
	VO               string                            `json:"vo"`
	Labels           map[string]string                 `json:"labels"`
	StorageProviders map[string]map[string]credentials `json:"storage_providers"`
	Clusters         map[string]cluster                `json:"clusters"`
	Owner            string                            `json:"owner"`
	InterLink        string                            `json:"interlink_node_name"`
	AllowedUsers     []string                          `json:"allowed_users"`
	Mount            place                             `json:"mount"`
}

// The older generation: ports are numbers, and some members are where the newer one has them no longer.
type service3 struct {
	service
	Expose      expose3 `json:"expose"`
	Delegation  string  `json:"delegation"`
	Rescheduler int     `json:"rescheduler_threshold"`
}

type service4 struct {
	service
	Expose       expose4                `json:"expose"`
	Visibility   string                 `json:"visibility"`
	Isolation    string                 `json:"isolation_level"`
	BucketList   []string               `json:"bucket_list"`
	Namespace    string                 `json:"namespace"`
	Scratch      string                 `json:"ephemeral_storage_request"`
	VolumeStatus struct{ Enabled bool } `json:"volume_status"`
}

type scale struct {
	Min int `json:"min_scale"`
	Max int `json:"max_scale"`
}

type place struct {
	Provider string   `json:"storage_provider"`
	Path     string   `json:"path"`
	Suffix   []string `json:"suffix,omitempty"`
	Prefix   []string `json:"prefix,omitempty"`
}

type environment struct {
	// With the capital that the older generation writes; Go reads either.
	Variables map[string]string `json:"Variables"`
	Secrets   map[string]string `json:"secrets,omitempty"`
}

type credentials struct {
	Endpoint  string `json:"endpoint"`
	Verify    bool   `json:"verify"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	Region    string `json:"region"`
}

type cluster struct {
	Endpoint string `json:"endpoint"`
	User     string `json:"auth_user"`
	Password string `json:"auth_password"`
	Verify   bool   `json:"ssl_verify"`
}

type expose struct {
	scale
	Threshold      int  `json:"cpu_threshold"`
	RewriteTarget  bool `json:"rewrite_target"`
	DefaultCommand bool `json:"default_command"`
	SetAuth        bool `json:"set_auth"`
}

type expose3 struct {
	expose
	APIPort  int `json:"api_port,omitempty"`
	NodePort int `json:"nodePort"`
}

type expose4 struct {
	expose
	APIPort  []int `json:"api_port,omitempty"`
	NodePort []int `json:"nodePort,omitempty"`
}

type jobs struct {
	Jobs map[string]struct {
		Status   string     `json:"status"`
		Creation *time.Time `json:"creation_time"`
		Start    *time.Time `json:"start_time"`
		Finish   *time.Time `json:"finish_time"`
	} `json:"jobs"`
	NextPage  string `json:"next_page"`
	Remaining *int64 `json:"remaining_jobs"`
}

type bucket struct {
	Name         string   `json:"bucket_name"`
	Visibility   string   `json:"visibility"`
	AllowedUsers []string `json:"allowed_users"`
	Owner        string   `json:"owner"`
	Objects      []struct {
		Name     string    `json:"object_name"`
		Size     int64     `json:"size_bytes"`
		Modified time.Time `json:"last_modified"`
	} `json:"objects"`
	NextPage  string `json:"next_page"`
	Truncated bool   `json:"is_truncated"`
	Returned  int    `json:"returned_items"`
}

type status struct {
	Cluster struct {
		NodesCount int64 `json:"nodes_count"`
		Metrics    struct {
			CPU    map[string]int64 `json:"cpu"`
			Memory map[string]int64 `json:"memory"`
			GPU    map[string]int64 `json:"gpu"`
		} `json:"metrics"`
		Nodes []struct {
			Name       string           `json:"name"`
			CPU        map[string]int64 `json:"cpu"`
			Memory     map[string]int64 `json:"memory"`
			GPU        int64            `json:"gpu"`
			InterLink  bool             `json:"is_interlink"`
			Status     string           `json:"status"`
			Conditions []struct {
				Type   string `json:"type"`
				Status bool   `json:"status"`
			} `json:"conditions"`
		} `json:"nodes"`
	} `json:"cluster"`
	Oscar struct {
		Name       string `json:"deployment_name"`
		Ready      bool   `json:"ready"`
		Deployment struct {
			Created time.Time         `json:"creation_timestamp"`
			Labels  map[string]string `json:"labels"`
		} `json:"deployment"`
		JobsCount int64 `json:"jobs_count"`
		OIDC      struct {
			Enabled bool     `json:"enabled"`
			Issuers []string `json:"issuers"`
			Groups  []string `json:"groups"`
		} `json:"oidc"`
	} `json:"oscar"`
	Minio struct {
		Buckets int64 `json:"buckets_count"`
		Objects int64 `json:"total_objects"`
	} `json:"minio"`
}
