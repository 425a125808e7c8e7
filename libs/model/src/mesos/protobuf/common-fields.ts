import type { FieldNumbers } from './field-numbers.ts'

/*
 * The messages of include/mesos/v1/mesos.proto, as far as they are read and written here: the number of
 * each field, and the name of its message or enum where it is one.
 */

export const commonFields: FieldNumbers = {
  FrameworkID: {
    value: 1,
  },
  FrameworkInfo: {
    user: 1,
    name: 2,
    id: [3, 'FrameworkID'],
    failover_timeout: 4,
    checkpoint: 5,
    role: 6,
    roles: 12,
    hostname: 7,
    principal: 8,
    webui_url: 9,
    capabilities: [10, 'FrameworkInfo.Capability'],
    labels: [11, 'Labels'],
  },
  'FrameworkInfo.Capability': {
    type: [1, 'FrameworkInfo.Capability.Type'],
  },
  Labels: {
    labels: [1, 'Label'],
  },
  Label: {
    key: 1,
    value: 2,
  },
  OfferID: {
    value: 1,
  },
  'Offer.Operation': {
    type: [1, 'Offer.Operation.Type'],
    id: [12, 'OperationID'],
    launch: [2, 'Offer.Operation.Launch'],
    launch_group: [7, 'Offer.Operation.LaunchGroup'],
  },
  OperationID: {
    value: 1,
  },
  'Offer.Operation.Launch': {
    task_infos: [1, 'TaskInfo'],
  },
  TaskInfo: {
    name: 1,
    resources: [4, 'Resource'],
    executor: [5, 'ExecutorInfo'],
    command: [7, 'CommandInfo'],
    container: [9, 'ContainerInfo'],
    health_check: [8, 'HealthCheck'],
    check: [13, 'CheckInfo'],
    kill_policy: [12, 'KillPolicy'],
    data: 6,
    labels: [10, 'Labels'],
    discovery: [11, 'DiscoveryInfo'],
    max_completion_time: [14, 'DurationInfo'],
    limits: [15, 'Value.Scalar'],
    task_id: [2, 'TaskID'],
    agent_id: [3, 'AgentID'],
  },
  Resource: {
    provider_id: [12, 'ResourceProviderID'],
    name: 1,
    type: [2, 'Value.Type'],
    scalar: [3, 'Value.Scalar'],
    ranges: [4, 'Value.Ranges'],
    set: [5, 'Value.Set'],
    role: 6,
    allocation_info: [11, 'Resource.AllocationInfo'],
    reservation: [8, 'Resource.ReservationInfo'],
    reservations: [13, 'Resource.ReservationInfo'],
    disk: [7, 'Resource.DiskInfo'],
    revocable: [9, 'Resource.RevocableInfo'],
    shared: [10, 'Resource.SharedInfo'],
  },
  ResourceProviderID: {
    value: 1,
  },
  'Value.Scalar': {
    value: 1,
  },
  'Value.Ranges': {
    range: [1, 'Value.Range'],
  },
  'Value.Range': {
    begin: 1,
    end: 2,
  },
  'Value.Set': {
    item: 1,
  },
  'Resource.AllocationInfo': {
    role: 1,
  },
  'Resource.ReservationInfo': {
    type: [4, 'Resource.ReservationInfo.Type'],
    role: 3,
    principal: 1,
    labels: [2, 'Labels'],
  },
  'Resource.DiskInfo': {
    persistence: [1, 'Resource.DiskInfo.Persistence'],
    source: [3, 'Resource.DiskInfo.Source'],
  },
  'Resource.DiskInfo.Persistence': {
    id: 1,
    principal: 2,
  },
  'Resource.DiskInfo.Source': {
    type: [1, 'Resource.DiskInfo.Source.Type'],
    id: 4,
    profile: 6,
  },
  'Resource.RevocableInfo': {},
  'Resource.SharedInfo': {},
  ExecutorInfo: {
    type: [15, 'ExecutorInfo.Type'],
    executor_id: [1, 'ExecutorID'],
    framework_id: [8, 'FrameworkID'],
    command: [7, 'CommandInfo'],
    container: [11, 'ContainerInfo'],
    resources: [5, 'Resource'],
    name: 9,
    source: 10,
    data: 4,
    discovery: [12, 'DiscoveryInfo'],
    shutdown_grace_period: [13, 'DurationInfo'],
    labels: [14, 'Labels'],
  },
  ExecutorID: {
    value: 1,
  },
  CommandInfo: {
    uris: [1, 'CommandInfo.URI'],
    environment: [2, 'Environment'],
    shell: 6,
    value: 3,
    arguments: 7,
    user: 5,
    // Ours, and far from what Mesos may number yet.
    docker_arguments: 1000,
  },
  'CommandInfo.URI': {
    value: 1,
    executable: 2,
    extract: 3,
    cache: 4,
    output_file: 5,
    // Ours, and far from what Mesos may number yet.
    secrets: [1000, 'CommandInfo.URI.Secrets'],
  },
  'CommandInfo.URI.Secrets': {
    authorization: [1, 'Secret'],
    client_certificate: [2, 'Secret'],
    authority: [3, 'Secret'],
  },
  Environment: {
    variables: [1, 'Environment.Variable'],
  },
  'Environment.Variable': {
    name: 1,
    type: [3, 'Environment.Variable.Type'],
    value: 2,
    secret: [4, 'Secret'],
  },
  Secret: {
    type: [1, 'Secret.Type'],
    reference: [2, 'Secret.Reference'],
    value: [3, 'Secret.Value'],
  },
  'Secret.Reference': {
    name: 1,
    key: 2,
  },
  'Secret.Value': {
    data: 1,
  },
  ContainerInfo: {
    type: [1, 'ContainerInfo.Type'],
    volumes: [2, 'Volume'],
    hostname: 4,
    docker: [3, 'ContainerInfo.DockerInfo'],
    mesos: [5, 'ContainerInfo.MesosInfo'],
    network_infos: [7, 'NetworkInfo'],
    linux_info: [8, 'LinuxInfo'],
    rlimit_info: [9, 'RLimitInfo'],
    tty_info: [10, 'TTYInfo'],
  },
  Volume: {
    mode: [3, 'Volume.Mode'],
    container_path: 1,
    host_path: 2,
    image: [4, 'Image'],
    source: [5, 'Volume.Source'],
  },
  Image: {
    type: [1, 'Image.Type'],
    appc: [2, 'Image.Appc'],
    docker: [3, 'Image.Docker'],
    cached: 4,
  },
  'Image.Appc': {
    name: 1,
    id: 2,
    labels: [3, 'Labels'],
  },
  'Image.Docker': {
    name: 1,
    config: [3, 'Secret'],
  },
  'Volume.Source': {
    type: [1, 'Volume.Source.Type'],
    docker_volume: [2, 'Volume.Source.DockerVolume'],
    host_path: [5, 'Volume.Source.HostPath'],
    sandbox_path: [3, 'Volume.Source.SandboxPath'],
    secret: [4, 'Secret'],
    csi_volume: [6, 'Volume.Source.CSIVolume'],
  },
  'Volume.Source.DockerVolume': {
    driver: 1,
    name: 2,
    driver_options: [3, 'Parameters'],
  },
  Parameters: {
    parameter: [1, 'Parameter'],
  },
  Parameter: {
    key: 1,
    value: 2,
  },
  'Volume.Source.HostPath': {
    path: 1,
    mount_propagation: [2, 'MountPropagation'],
  },
  MountPropagation: {
    mode: [1, 'MountPropagation.Mode'],
  },
  'Volume.Source.SandboxPath': {
    type: [1, 'Volume.Source.SandboxPath.Type'],
    path: 2,
  },
  'Volume.Source.CSIVolume': {
    plugin_name: 1,
    static_provisioning: [2, 'Volume.Source.CSIVolume.StaticProvisioning'],
  },
  'Volume.Source.CSIVolume.StaticProvisioning': {
    volume_id: 1,
    volume_capability: [2, 'Volume.Source.CSIVolume.VolumeCapability'],
    node_stage_secrets: [3, 'Secret'],
    node_publish_secrets: [4, 'Secret'],
    volume_context: 5,
  },
  'Volume.Source.CSIVolume.VolumeCapability': {},
  'ContainerInfo.DockerInfo': {
    image: 1,
    network: [2, 'ContainerInfo.DockerInfo.Network'],
    port_mappings: [3, 'ContainerInfo.DockerInfo.PortMapping'],
    privileged: 4,
    parameters: [5, 'Parameter'],
    force_pull_image: 6,
    volume_driver: 7,
  },
  'ContainerInfo.DockerInfo.PortMapping': {
    host_port: 1,
    container_port: 2,
    protocol: 3,
  },
  'ContainerInfo.MesosInfo': {
    image: [1, 'Image'],
  },
  NetworkInfo: {
    ip_addresses: [5, 'NetworkInfo.IPAddress'],
    name: 6,
    groups: 3,
    labels: [4, 'Labels'],
    port_mappings: [7, 'NetworkInfo.PortMapping'],
  },
  'NetworkInfo.IPAddress': {
    protocol: [1, 'NetworkInfo.Protocol'],
    ip_address: 2,
  },
  'NetworkInfo.PortMapping': {
    host_port: 1,
    container_port: 2,
    protocol: 3,
  },
  LinuxInfo: {
    share_pid_namespace: 4,
    share_cgroups: 8,
  },
  RLimitInfo: {
    rlimits: [1, 'RLimitInfo.RLimit'],
  },
  'RLimitInfo.RLimit': {
    type: [1, 'RLimitInfo.RLimit.Type'],
    hard: 2,
    soft: 3,
  },
  TTYInfo: {
    window_size: [1, 'TTYInfo.WindowSize'],
  },
  'TTYInfo.WindowSize': {
    rows: 1,
    columns: 2,
  },
  DiscoveryInfo: {
    visibility: [1, 'DiscoveryInfo.Visibility'],
    name: 2,
    environment: 3,
    location: 4,
    version: 5,
    ports: [6, 'Ports'],
    labels: [7, 'Labels'],
  },
  Ports: {
    ports: [1, 'Port'],
  },
  Port: {
    number: 1,
    name: 2,
    protocol: 3,
    visibility: [4, 'DiscoveryInfo.Visibility'],
    labels: [5, 'Labels'],
  },
  DurationInfo: {
    nanoseconds: 1,
  },
  HealthCheck: {
    type: [8, 'HealthCheck.Type'],
    command: [7, 'CommandInfo'],
    http: [1, 'HealthCheck.HTTPCheckInfo'],
    tcp: [9, 'HealthCheck.TCPCheckInfo'],
    delay_seconds: 2,
    interval_seconds: 3,
    timeout_seconds: 4,
    consecutive_failures: 5,
    grace_period_seconds: 6,
  },
  'HealthCheck.HTTPCheckInfo': {
    protocol: [5, 'NetworkInfo.Protocol'],
    scheme: 3,
    port: 1,
    path: 2,
    statuses: 4,
  },
  'HealthCheck.TCPCheckInfo': {
    protocol: [2, 'NetworkInfo.Protocol'],
    port: 1,
  },
  CheckInfo: {
    type: [1, 'CheckInfo.Type'],
    command: [2, 'CheckInfo.Command'],
    http: [3, 'CheckInfo.Http'],
    tcp: [7, 'CheckInfo.Tcp'],
    delay_seconds: 4,
    interval_seconds: 5,
    timeout_seconds: 6,
  },
  'CheckInfo.Command': {
    command: [1, 'CommandInfo'],
  },
  'CheckInfo.Http': {
    port: 1,
    path: 2,
  },
  'CheckInfo.Tcp': {
    port: 1,
  },
  KillPolicy: {
    grace_period: [1, 'DurationInfo'],
  },
  TaskID: {
    value: 1,
  },
  AgentID: {
    value: 1,
  },
  'Offer.Operation.LaunchGroup': {
    executor: [1, 'ExecutorInfo'],
    task_group: [2, 'TaskGroupInfo'],
  },
  TaskGroupInfo: {
    tasks: [1, 'TaskInfo'],
  },
  Filters: {
    refuse_seconds: 1,
  },
  Request: {
    agent_id: [1, 'AgentID'],
    resources: [2, 'Resource'],
  },
  MasterInfo: {
    id: 1,
    ip: 2,
    port: 3,
    pid: 4,
    hostname: 5,
    version: 6,
    address: [7, 'Address'],
    domain: [8, 'DomainInfo'],
    capabilities: [9, 'MasterInfo.Capability'],
  },
  Address: {
    hostname: 1,
    ip: 2,
    port: 3,
  },
  DomainInfo: {
    fault_domain: [1, 'DomainInfo.FaultDomain'],
  },
  'DomainInfo.FaultDomain': {
    region: [1, 'DomainInfo.FaultDomain.RegionInfo'],
    zone: [2, 'DomainInfo.FaultDomain.ZoneInfo'],
  },
  'DomainInfo.FaultDomain.RegionInfo': {
    name: 1,
  },
  'DomainInfo.FaultDomain.ZoneInfo': {
    name: 1,
  },
  'MasterInfo.Capability': {
    type: [1, 'MasterInfo.Capability.Type'],
  },
  Offer: {
    id: [1, 'OfferID'],
    framework_id: [2, 'FrameworkID'],
    agent_id: [3, 'AgentID'],
    hostname: 4,
    url: [8, 'URL'],
    resources: [5, 'Resource'],
    attributes: [7, 'Attribute'],
    executor_ids: [6, 'ExecutorID'],
    unavailability: [9, 'Unavailability'],
    allocation_info: [10, 'Resource.AllocationInfo'],
  },
  Unavailability: {
    start: [1, 'TimeInfo'],
    duration: [2, 'DurationInfo'],
  },
  InverseOffer: {
    id: [1, 'OfferID'],
    url: [2, 'URL'],
    framework_id: [3, 'FrameworkID'],
    agent_id: [4, 'AgentID'],
    unavailability: [5, 'Unavailability'],
    resources: [6, 'Resource'],
  },
  DrainInfo: {
    state: [1, 'DrainState'],
    config: [2, 'DrainConfig'],
  },
  DrainConfig: {
    max_grace_period: [1, 'DurationInfo'],
    mark_gone: 2,
  },
  'allocator.InverseOfferStatus': {
    status: [1, 'allocator.InverseOfferStatus.Status'],
    framework_id: [2, 'FrameworkID'],
    timestamp: [3, 'TimeInfo'],
  },
  URL: {
    scheme: 1,
    address: [2, 'Address'],
    path: 3,
    fragment: 5,
  },
  Attribute: {
    name: 1,
    type: [2, 'Value.Type'],
    scalar: [3, 'Value.Scalar'],
    ranges: [4, 'Value.Ranges'],
    set: [6, 'Value.Set'],
    text: [5, 'Value.Text'],
  },
  'Value.Text': {
    value: 1,
  },
  TaskStatus: {
    task_id: [1, 'TaskID'],
    state: [2, 'TaskState'],
    message: 4,
    source: [9, 'TaskStatus.Source'],
    reason: [10, 'TaskStatus.Reason'],
    data: 3,
    agent_id: [5, 'AgentID'],
    executor_id: [7, 'ExecutorID'],
    timestamp: 6,
    uuid: 11,
    healthy: 8,
    check_status: [15, 'CheckStatusInfo'],
    labels: [12, 'Labels'],
    container_status: [13, 'ContainerStatus'],
    unreachable_time: [14, 'TimeInfo'],
    limitation: [16, 'TaskResourceLimitation'],
  },
  CheckStatusInfo: {
    type: [1, 'CheckInfo.Type'],
    command: [2, 'CheckStatusInfo.Command'],
    http: [3, 'CheckStatusInfo.Http'],
    tcp: [4, 'CheckStatusInfo.Tcp'],
  },
  'CheckStatusInfo.Command': {
    exit_code: 1,
  },
  'CheckStatusInfo.Http': {
    status_code: 1,
  },
  'CheckStatusInfo.Tcp': {
    succeeded: 1,
  },
  ContainerStatus: {
    container_id: [4, 'ContainerID'],
    network_infos: [1, 'NetworkInfo'],
    cgroup_info: [2, 'CgroupInfo'],
    executor_pid: 3,
  },
  ContainerID: {
    value: 1,
    parent: [2, 'ContainerID'],
  },
  CgroupInfo: {},
  TimeInfo: {
    nanoseconds: 1,
  },
  TaskResourceLimitation: {
    resources: [1, 'Resource'],
  },
  OperationStatus: {
    operation_id: [1, 'OperationID'],
    state: [2, 'OperationState'],
    message: 3,
    converted_resources: [4, 'Resource'],
    uuid: [5, 'UUID'],
    agent_id: [6, 'AgentID'],
    resource_provider_id: [7, 'ResourceProviderID'],
  },
  UUID: {
    value: 1,
  },
  WeightInfo: {
    weight: 1,
    role: 2,
  },
  MachineID: {
    hostname: 1,
    ip: 2,
  },
  Flag: {
    name: 1,
    value: 2,
  },
  VersionInfo: {
    version: 1,
  },
  Metric: {
    name: 1,
    value: 2,
  },
  Task: {
    name: 1,
    task_id: [2, 'TaskID'],
    framework_id: [3, 'FrameworkID'],
    executor_id: [4, 'ExecutorID'],
    agent_id: [5, 'AgentID'],
    state: [6, 'TaskState'],
    resources: [7, 'Resource'],
    statuses: [8, 'TaskStatus'],
    status_update_state: [9, 'TaskState'],
    status_update_uuid: 10,
    labels: [11, 'Labels'],
    discovery: [12, 'DiscoveryInfo'],
    container: [13, 'ContainerInfo'],
    health_check: [15, 'HealthCheck'],
    kill_policy: [16, 'KillPolicy'],
    user: 14,
    limits: [17, 'Value.Scalar'],
  },
  AgentInfo: {
    hostname: 1,
    port: 8,
    resources: [3, 'Resource'],
    attributes: [5, 'Attribute'],
    id: [6, 'AgentID'],
    domain: [10, 'DomainInfo'],
  },
  'AgentInfo.Capability': {
    type: [1, 'AgentInfo.Capability.Type'],
  },
  Operation: {},
  Role: {
    name: 1,
    weight: 2,
    frameworks: [3, 'FrameworkID'],
    resources: [4, 'Resource'],
  },
}
