//! Files that cannot be applied, before any cluster is asked.

use insta::assert_snapshot;

use crate::run::User;

#[test]
fn every_mistake_in_a_file_is_told_with_its_place() {
    let user = User::new();
    user.write(
        "farm.yaml",
        "functions:\n  oscar:\n  - farm:\n      name: Gray_ify\n      image: registry.example.org/gray:1\n      \
         memmory: 1Gi\n      cpu: many\n      script: gray.sh\n",
    );
    assert_snapshot!(user.run(&["apply", "farm.yaml"]).all());
}

#[test]
fn a_script_is_looked_for_beside_the_file() {
    let user = User::new();
    std::fs::create_dir(user.path("farm")).unwrap();
    user.write(
        "farm/farm.yaml",
        "functions:\n  oscar:\n  - farm:\n      name: gray\n      image: registry.example.org/gray:1\n      script: gray.sh\n",
    );
    assert_snapshot!(user.run(&["apply", "farm/farm.yaml"]).all());
    user.write("farm/gray.sh", "true\n");
    // The script is there now: the next thing that is missing is the cluster.
    assert_snapshot!(user.run(&["apply", "farm/farm.yaml"]).all());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    assert_snapshot!(User::new().run(&["apply", "nothing.yaml"]).all());
}
